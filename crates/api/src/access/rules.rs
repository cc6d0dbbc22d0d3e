//! What each route takes: the table beside the one in `router.rs`. A route that is not in here is served to nobody:
//! the process does not start, and a test says so first.

use domain::access::Action;

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing: it is for anybody.
    Public,
    /// To be allowed this. What it is done to is in the path, and is looked up before the handler runs.
    On(Action),
    /// As above, for reads that work while the database is away, for those who were let in lately.
    OnKnown(Action),
    /// To be somebody. What it is done to is in the body or the query, so that the handler asks, with
    /// [`Allowance::demand`](super::Allowance::demand), for these.
    Inside(&'static [Action]),
}

/// The rule of an operation, by its id in the API's description.
pub(crate) fn rule_of(operation: &str) -> Option<Rule> {
    use Action as A;
    use Rule::{Inside, On, OnKnown, Public};
    Some(match operation {
        "signIn" | "getOpenApi" | "getSchema" | "getSignIn" | "finishSignIn" | "endSignIn"
        | "takeCliToken" => Public,
        "getMe" => On(A::ReadMe),
        "signOut" => On(A::SignOut),
        "createSignInLink" => On(A::CreateSignInLink),
        "listTokens" => On(A::ListTokens),
        "createToken" | "createCliGrant" => On(A::CreateToken),
        "revokeToken" => On(A::RevokeToken),
        "getSystem" => OnKnown(A::ReadSystem),
        // Each topic is asked for by itself.
        "streamEvents" => OnKnown(A::StreamEvents),
        "listProfiles" => On(A::ListProfiles),
        "getRepository" | "listBranches" | "listIssues" | "getIssue" => On(A::ReadRepository),
        // These lists hold what the caller may see.
        "listSessions" | "countSessions" => On(A::ListSessions),
        "listRuns" => On(A::ListRuns),
        "createSession" => Inside(&[A::CreateSession]),
        "getSession" | "listArtifacts" => On(A::ReadSession),
        "renameSession" => On(A::RenameSession),
        "deleteSession" => On(A::DeleteSession),
        "archiveSession" => On(A::ArchiveSession),
        "restoreSession" => On(A::RestoreSession),
        "forkSession" => On(A::ForkSession),
        "getArtifactContent" => On(A::ReadArtifact),
        "listSessionRuns" | "getRun" | "streamOutput" | "getRunTranscript" | "getRunPart"
        | "listRunEvents" | "getRunChanges" | "listRunEgress" => On(A::ReadRun),
        "startRun" => On(A::StartRun),
        // Both ways, until its handler asks for the wider one alone.
        "cancelRun" => On(A::CancelRun),
        "interruptRun" => On(A::InterruptRun),
        "finishRun" => On(A::FinishRun),
        "publishRun" => On(A::PublishRun),
        "promptRun" => On(A::PromptRun),
        "answerInput" => On(A::GiveInput),
        // More than GitHub is asked for inside.
        "setRunEgress" => On(A::ChangeEgress),
        "listRoleBindings" => Inside(&[A::ReadBindings, A::ReadSession, A::ReadCredential]),
        "grantRole" => Inside(&[A::GrantRole, A::ShareSession, A::ShareCredential]),
        "revokeRole" => Inside(&[A::RevokeRole, A::ShareSession, A::ShareCredential]),
        "explainAccess" => Inside(&[A::ExplainAccess, A::ReadBindings, A::ShareSession]),
        "getSettings" | "listSettingsHistory" => On(A::ReadSettings),
        "setLimits" | "resetLimits" | "setAllowList" | "resetAllowList" | "setProfile"
        | "removeProfile" | "setRetention" | "resetRetention" => On(A::ChangeSettings),
        "listAuditEvents" | "getAuditEvent" | "listAuditRuns" | "listBindingsAt" => {
            On(A::ReadAudit)
        }
        "exportAudit" => On(A::ExportAudit),
        "eraseTexts" => On(A::EraseText),
        // Hashes and what was signed of them: so that everybody can hold the installation to it.
        "getCheckpoint"
        | "listAuditKeys"
        | "getTile"
        | "getInclusionProof"
        | "getConsistencyProof" => On(A::ReadCheckpoint),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use domain::access::On;

    use super::*;
    use crate::openapi::openapi;

    #[test]
    fn every_route_has_a_rule_and_a_path_that_says_what_it_is_about() {
        let description = serde_json::to_value(openapi()).expect("JSON");
        let mut missing = vec![];
        for (path, item) in description["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                let name = operation["operationId"].as_str().expect("a name");
                let public = operation["security"] == serde_json::json!([{}])
                    || operation["security"] == serde_json::json!([]);
                let Some(rule) = rule_of(name) else {
                    missing.push(name.to_owned());
                    continue;
                };
                assert_eq!(public, rule == Rule::Public, "{name} says otherwise in its annotation");
                let (Rule::On(action) | Rule::OnKnown(action)) = rule else { continue };
                let about = match action.on() {
                    On::Installation => true,
                    On::Repository => path.contains("{owner}/{name}"),
                    On::Session => ["/sessions/{id}", "/runs/{id}", "/artifacts/{id}"]
                        .iter()
                        .any(|place| path.starts_with(&format!("/api/v1{place}"))),
                    On::Credential => path.starts_with("/api/v1/credentials/{id}"),
                };
                assert!(about, "{name}: {action} cannot be asked by the path {path}");
            }
        }
        assert!(missing.is_empty(), "say in access/rules.rs what these take: {missing:?}");
    }
}
