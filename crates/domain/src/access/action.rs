use std::fmt;

use crate::access::Role;

/// What kind of thing something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum On {
    /// The installation itself.
    Installation,
    /// A repository of the forge.
    Repository,
    /// A session or one of its runs.
    Session,
    /// A credential.
    Credential,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $on:ident, $needs:ident;)+) => {
        /// Everything that can be asked for. Names are permanent: bindings, refusals and scripts speak of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $name),+ }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The permanent name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire),+ }
            }

            /// What it is done to.
            #[must_use]
            pub const fn on(self) -> On {
                match self { $(Self::$name => On::$on),+ }
            }

            const fn need(self) -> Need {
                match self { $(Self::$name => Need::$needs),+ }
            }
        }
    };
}

/// What an action takes.
#[derive(Clone, Copy)]
enum Need {
    /// To be somebody; it only reads.
    Known,
    /// To be somebody, by more than a narrowed token: it changes what is one's own.
    Oneself,
    Viewer,
    Maintainer,
    Admin,
}

actions! {
    /// Sees who one is.
    ReadMe = "me.read", Installation, Known;
    /// Signs a browser out.
    SignOut = "sign-out", Installation, Known;
    /// Lists one's own tokens.
    ListTokens = "token.list", Installation, Known;
    /// Makes a token for oneself.
    CreateToken = "token.create", Installation, Oneself;
    /// Ends a token of one's own.
    RevokeToken = "token.revoke", Installation, Oneself;
    /// Lists everybody's tokens, never their values.
    ListAllTokens = "token.list-all", Installation, Admin;
    /// Ends a token of anybody's.
    RevokeAnyToken = "token.revoke-any", Installation, Admin;
    /// Makes a link that signs a browser in as the local user.
    CreateSignInLink = "sign-in-link.create", Installation, Admin;
    /// Sees how the installation's parts are.
    ReadSystem = "system.read", Installation, Known;
    /// Sees the profiles that runs can have.
    ListProfiles = "profile.list", Installation, Known;
    /// Lists the sessions that one may see.
    ListSessions = "session.list", Installation, Known;
    /// Lists the runs that one may see.
    ListRuns = "run.list", Installation, Known;
    /// Watches what one may see.
    StreamEvents = "event.stream", Installation, Known;
    /// Lists the credentials that one may see.
    ListCredentials = "credential.list", Installation, Known;
    /// Asks who may do what, of oneself or of what one may share.
    ExplainAccess = "access.explain", Installation, Known;
    /// Reads the newest signed checkpoint.
    ReadCheckpoint = "audit.checkpoint.read", Installation, Known;
    /// Sees limits, allow-list, profiles and retention.
    ReadSettings = "settings.read", Installation, Viewer;
    /// Changes them.
    ChangeSettings = "settings.change", Installation, Admin;
    /// Reads the record of everything.
    ReadAudit = "audit.read", Installation, Admin;
    /// Takes the record out as a file.
    ExportAudit = "audit.export", Installation, Admin;
    /// Erases a text.
    EraseText = "text.erase", Installation, Admin;
    /// Sees every role binding.
    ReadBindings = "binding.read", Installation, Admin;
    /// Gives a role over the whole installation.
    GrantRole = "binding.grant", Installation, Admin;
    /// Takes a role over the whole installation.
    RevokeRole = "binding.revoke", Installation, Admin;
    /// Finds people who signed in, by name.
    FindPeople = "person.find", Installation, Viewer;
    /// Registers a credential of one's own.
    RegisterCredential = "credential.register", Installation, Maintainer;
    /// Registers a credential for several.
    RegisterSharedCredential = "credential.register-shared", Installation, Admin;
    /// Sees what the forge says of a repository.
    ReadRepository = "repository.read", Repository, Maintainer;
    /// Begins a session.
    CreateSession = "session.create", Repository, Maintainer;
    /// Sees a session.
    ReadSession = "session.read", Session, Viewer;
    /// Sees a run, its output and its transcript.
    ReadRun = "run.read", Session, Viewer;
    /// Downloads a session's bundles.
    ReadArtifact = "artifact.read", Session, Viewer;
    /// Gives a session another title.
    RenameSession = "session.rename", Session, Maintainer;
    /// Puts a session away.
    ArchiveSession = "session.archive", Session, Maintainer;
    /// Brings a session back.
    RestoreSession = "session.restore", Session, Maintainer;
    /// Lets a session's bundles and outputs go.
    DeleteSession = "session.delete", Session, Maintainer;
    /// Begins another session from one; that is also `session.create` on its repository.
    ForkSession = "session.fork", Session, Maintainer;
    /// Gives and takes roles over a session, up to one's own.
    ShareSession = "session.share", Session, Maintainer;
    /// Starts a run.
    StartRun = "run.start", Session, Maintainer;
    /// Tells the agent something more.
    PromptRun = "run.prompt", Session, Maintainer;
    /// Answers a permission or a question.
    GiveInput = "run.give-input", Session, Maintainer;
    /// Stops a turn.
    InterruptRun = "run.interrupt", Session, Maintainer;
    /// Publishes and ends a run.
    FinishRun = "run.finish", Session, Maintainer;
    /// Ends a run.
    CancelRun = "run.cancel", Session, Maintainer;
    /// Tries a pull request again.
    PublishRun = "run.publish", Session, Maintainer;
    /// Takes a run's wider egress back.
    ChangeEgress = "run.egress.change", Session, Maintainer;
    /// Gives a run full egress.
    OpenEgress = "run.egress.full", Session, Admin;
    /// Sees a credential: its state, never its value.
    ReadCredential = "credential.read", Credential, Viewer;
    /// Lets runs use a credential.
    UseCredential = "credential.use", Credential, Maintainer;
    /// Has a credential verified against the forge.
    VerifyCredential = "credential.verify", Credential, Maintainer;
    /// Gives a credential another value.
    RotateCredential = "credential.rotate", Credential, Admin;
    /// Ends a credential.
    RevokeCredential = "credential.revoke", Credential, Admin;
    /// Gives and takes roles over a credential.
    ShareCredential = "credential.share", Credential, Admin;
}

impl Action {
    /// The action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }

    /// The least role that includes it; none where everybody who is known may.
    #[must_use]
    pub const fn needs(self) -> Option<Role> {
        match self.need() {
            Need::Known | Need::Oneself => None,
            Need::Viewer => Some(Role::Viewer),
            Need::Maintainer => Some(Role::Maintainer),
            Need::Admin => Some(Role::Admin),
        }
    }

    /// The least that a narrowed token must be good for.
    #[must_use]
    pub const fn ceiling(self) -> Role {
        match self.need() {
            Need::Known | Need::Viewer => Role::Viewer,
            Need::Maintainer => Role::Maintainer,
            Need::Oneself | Need::Admin => Role::Admin,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(Action::named(action.as_str()), Some(*action));
        }
        assert_eq!(Action::named("session.explode"), None);
    }
}
