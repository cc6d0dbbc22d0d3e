//! The API's own description: what the routes say of themselves, and what holds for all of them.

use utoipa::{
    OpenApi,
    openapi::{
        Content, HttpMethod, Ref, RefOr, Required, ResponseBuilder, SecurityRequirement,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{access, problem::Problem, request::IDEMPOTENCY_KEY, router::routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Paddock",
        description = "Runs coding agents in fenced sandboxes and delivers their pull requests.\n\n\
            Commands answer where their effect can be waited for: pass `<stream>@<version>` on as \
            `at_least` of a read. Every error is a problem document (RFC 9457).",
    ),
    components(schemas(Problem))
)]
pub(crate) struct Api;

/// The API's own description.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    completed(routes().split_for_parts().1)
}

/// Adds what every operation has: its problems, who may call it, the headers of commands.
fn completed(mut openapi: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    if let Some(components) = &mut openapi.components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let words = "What a sign-in sets; its name begins with `__Host-` over https and ends in `-<port>` off the \
            usual ports.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(access::COOKIE, words));
        components.add_security_scheme("browser", SecurityScheme::ApiKey(cookie));
    }
    for item in openapi.paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            problems(operation);
            if operation.security.is_none() {
                let scheme = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
                operation.security = Some(vec![scheme("token"), scheme("browser")]);
            }
            if method != HttpMethod::Get {
                command(operation);
            }
        }
    }
    openapi
}

pub(crate) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// As HTTP writes it.
pub(crate) fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Head => "HEAD",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
    }
}

fn problems(operation: &mut Operation) {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description("Why it was not done")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
}

fn command(operation: &mut Operation) {
    let header = |name: &str, words: &str| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(words))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        RefOr::T(parameter)
    };
    operation.parameters.get_or_insert_default().extend([
        header(
            IDEMPOTENCY_KEY,
            "Does it once: the same request under the same key gets the first answer again.",
        ),
        header(
            "If-Match",
            "The ETag of a read or an answer: refuses with 412 where the stream has gone on since.",
        ),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_this_one() {
        let mut now = serde_json::to_string_pretty(&openapi()).expect("JSON");
        now.push('\n');
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &now).expect("writable");
        }
        let known = std::fs::read_to_string(path).unwrap_or_default();
        assert!(known == now, "openapi.json is stale: run scripts/openapi and commit it");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
        let json = serde_json::to_value(openapi()).expect("JSON");
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in json["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let name = operation["operationId"].as_str();
                let name = name.unwrap_or_else(|| panic!("{method} {path} has no name"));
                assert!(names.insert(name.to_owned()), "{name} is there twice");
            }
        }
        let text = json.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(json["components"]["schemas"][name].is_object(), "there is no schema {name}");
        }
    }
}
