use domain::{
    event::{Actor, Part},
    ids::{Generation, RunId},
    run::{Command, Enforcement, Failure, RanImage, WorkloadStage},
};

use crate::{Caused, CommandError, Commands};

/// What an adapter says of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is made, and this holds it in.
    Created(Enforcement),
    /// It is made and cannot begin yet, for this reason.
    Waiting(String),
    /// This was seen of it, a line each, and these images run.
    Observed(WorkloadStage, String, Vec<RanImage>),
    /// It is gone.
    Lost(String),
    /// It cannot be made; trying again will not help.
    Refused(String),
    /// It took more than it may; trying again will not help.
    Over(String),
    /// What was made is gone again.
    Removed,
}

impl Commands {
    /// Takes an adapter's report. One that comes too late to change anything is settled too: what the run
    /// wants now is in the next list.
    pub async fn report(
        &self,
        run: RunId,
        generation: Generation,
        report: Report,
    ) -> Result<(), CommandError> {
        let mut caused = Caused::by(Actor::System(Part::Adapter));
        let command = match report {
            Report::Created(enforcement) => {
                Command::ReportWorkloadCreated { generation, enforcement }
            }
            Report::Waiting(reason) => Command::ReportWaiting { generation, reason },
            Report::Observed(stage, words, images) => {
                let text = self.context().seal(words);
                let reference = text.reference.clone();
                caused.texts = vec![text];
                Command::ReportObserved { generation, stage, text: reference, images }
            }
            Report::Lost(reason) => Command::ReportLost { generation, reason },
            Report::Refused(words) => self.failed(&mut caused, generation, Failure::Sandbox, words),
            Report::Over(words) => self.failed(&mut caused, generation, Failure::Limit, words),
            Report::Removed => {
                let removed = self.workload_removed(run, generation, caused).await;
                return settled(removed.map(drop));
            }
        };
        settled(self.run(run, command, caused).await.map(drop))
    }

    fn failed(
        &self,
        caused: &mut Caused,
        generation: Generation,
        failure: Failure,
        words: String,
    ) -> Command {
        let text = self.context().seal(words);
        let detail = Some(text.reference.clone());
        caused.texts = vec![text];
        Command::ReportRefused { generation, failure, detail }
    }
}

fn settled(reported: Result<(), CommandError>) -> Result<(), CommandError> {
    match reported {
        Err(CommandError::Run(_)) => Ok(()),
        other => other,
    }
}
