//! Every git step on the workspace. The repository's own configuration may run code: it runs here, inside
//! the sandbox, as the agent, or not at all. Filters do run: without them, what is committed would not be
//! what the repository means.

mod changes;
mod checkout;
mod command;
mod commit;
mod push;
mod settings;

pub(crate) use self::{
    changes::changes,
    checkout::{clone, resume},
    command::Git,
    commit::commit,
    push::push,
    settings::{agents_config, configure},
};

/// What git itself writes for a commit that is not there.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

impl Git<'_> {
    /// The HEAD commit; [`NO_COMMIT`] on a branch that has none yet.
    pub(crate) async fn head(&self) -> crate::failure::Step<String> {
        let head = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
        let said = self.attempt(&head).await?;
        if said.success {
            return Ok(said.text());
        }
        // A repository that is none fails here, with git's words.
        self.run(&["symbolic-ref", "HEAD"]).await?;
        Ok(NO_COMMIT.to_owned())
    }

    /// The commit that a reference names, if it is there.
    async fn commit_of(&self, reference: &str) -> crate::failure::Step<Option<String>> {
        let commit = format!("{reference}^{{commit}}");
        let said = self.attempt(&["rev-parse", "--verify", "--quiet", &commit]).await?;
        Ok(said.success.then(|| said.text()))
    }
}
