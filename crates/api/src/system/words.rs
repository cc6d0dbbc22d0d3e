use super::PartName;

/// What works while a part does not.
pub(super) const fn still_works(part: PartName) -> &'static str {
    match part {
        PartName::Database => {
            "Agents that are at work go on, and keep what they say until it can be stored; this page shows \
             what it has. Nothing new can be asked for."
        }
        PartName::Sequencer => {
            "Agents go on and commands are accepted; their effect shows here once it works again."
        }
        PartName::Relay => {
            "Everything here: only subscribers of NATS wait, and miss nothing, because it is filled again \
             from the log."
        }
        PartName::Projections => {
            "Agents go on and commands are accepted; the lists here stand still until it works again."
        }
        PartName::Signer => {
            "Everything, and all of it is recorded; what is new in the record cannot be proven until it is signed."
        }
        PartName::Artifacts => {
            "Agents go on; their snapshots wait and are stored once it works again. A session that has one \
             cannot be gone on with meanwhile."
        }
        PartName::Adapter => "Runs that are under way go on; new ones wait in the queue.",
        PartName::Egress => {
            "What is stored can be read and prompts are accepted; agents wait for the model and for their \
             repository."
        }
        PartName::Forge => {
            "Agents work on what they have; a push or a pull request waits and is tried again."
        }
        PartName::Model => {
            "What is stored can be read; agents ask again a few times, then their run fails."
        }
    }
}

/// What to do about it.
pub(super) const fn action(part: PartName) -> &'static str {
    match part {
        PartName::Database => {
            "Start PostgreSQL again. `paddock up` does so by itself: if it does not, log/postgres.log in the \
             data directory says why."
        }
        PartName::Sequencer => {
            "If it was halted because the database was restored, run `paddock log adopt`; otherwise \
             log/serve.log in the data directory says why."
        }
        PartName::Relay => {
            "Start NATS again. `paddock up` does so by itself: if it does not, log/nats.log in the data \
             directory says why."
        }
        PartName::Projections => {
            "Look for the event that cannot be read in log/serve.log in the data directory; \
             `paddock rebuild` makes the lists anew."
        }
        PartName::Signer => {
            "Do what it says. Where it finds the record rewritten and you did not restore a backup, keep the database \
             as it is: a copy of an older checkpoint and `paddock audit verify --extends` say what was changed."
        }
        PartName::Artifacts => {
            "Where it is full, give it room, or keep bundles for a shorter time (settings: retention); otherwise \
             check PADDOCK_ARTIFACT_STORE and start `paddock artifacts` again."
        }
        PartName::Adapter => "Do what it says, then start Paddock again.",
        PartName::Egress => {
            "Start `paddock egress` again. `paddock up` does so by itself: if it does not, log/egress.log in \
             the data directory says why."
        }
        PartName::Forge => {
            "Check PADDOCK_GITHUB_API_URL, the network, and the token in PADDOCK_GITHUB_TOKEN_FILE."
        }
        PartName::Model => "Check PADDOCK_MODEL_URL, the network, and the provider's status page.",
    }
}
