//! The OpenAPI 3.1 document: what is common to all paths. The paths themselves are collected from their handlers.

use super::Fleet;
use crate::http::fault::ProblemBody;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, OpenApi as _,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Fleetward",
        version = "1",
        description = "Releases, rollouts, devices, enrolment and telemetry for scripts. Make an API token in the console, under People. \
                       A POST with an `Idempotency-Key` header is carried out once and answered the same way for 24 hours.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/api/v1")),
    components(schemas(ProblemBody, wire::access::AuditExport))
)]
struct Document;

/// Every refusal, whatever its status: a problem document.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
        let refusal =
            ResponseBuilder::new().description("A refusal: what is wrong and what to do").content("application/problem+json", content);
        BTreeMap::from([("default".to_owned(), refusal.build().into())])
    }
}

pub(super) fn start() -> OpenApiRouter<Fleet> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// The document as text, with the way to sign in added.
pub(super) fn finish(mut document: OpenApi) -> String {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    document.to_pretty_json().unwrap_or_else(|e| {
        tracing::error!(error = %e, "the OpenAPI document can't be written");
        "{}".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::PathItem;

    #[test]
    fn the_contract() {
        let (_, document) = super::super::routes().split_for_parts();
        let mut ids: Vec<_> = document.paths.paths.values().flat_map(operations).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an operation id names one operation: {ids:?}");
        insta::assert_snapshot!("openapi", super::finish(document));
    }

    fn operations(path: &PathItem) -> Vec<String> {
        let found = [&path.get, &path.put, &path.post, &path.delete];
        found.into_iter().flatten().map(|o| o.operation_id.clone().unwrap()).collect()
    }
}
