//! Which key, token and URLs count: what was given, then the variables, then the file, as for the commands.

use hokusai_client::Secret;
use hokusai_client::profile::{Connection, Environment, Given, Setting, Sourced};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::fault::Fault;

/// The name of a setting, whether it was given to `setup`, and its text.
type Told = (String, bool, String);

/// What counts, as JSON: the values, where each comes from, and what looks wrong in the file. `variables` is
/// asked for the environment's; of what is given twice, the first counts.
#[pyfunction]
#[pyo3(signature = (given, profile, variables))]
pub(crate) fn settle(
    given: Vec<Told>,
    profile: Option<String>,
    variables: &Bound<'_, PyAny>,
) -> PyResult<String> {
    let environment = Environment::read(|name| {
        // What can't be asked for is not there.
        variables.call_method1("get", (name,)).ok()?.extract().ok()
    });
    Ok(found(given, profile, &environment.map_err(Fault::from)?)?.to_string())
}

fn found(told: Vec<Told>, profile: Option<String>, environment: &Environment) -> Result<Value, Fault> {
    let document = environment.document()?;
    let mut given = Given::default();
    if let Some(name) = profile {
        given = given.profile(name, "profile=");
    }
    for (name, to_setup, text) in told {
        let (setting, given_as) = named(&name, to_setup).ok_or(Fault::Broken)?;
        given = given.setting(setting, Secret::new(text), given_as);
    }
    let connection = given.settle(environment, &document)?;
    let warnings: Vec<_> = environment.file().iter().flat_map(|file| file.warnings(&document)).collect();
    let warnings: Vec<String> =
        warnings.into_iter().map(|warning| format!("{}; {}", warning.what, warning.hint)).collect();
    Ok(shown(&connection, environment.shown(), &warnings))
}

fn named(name: &str, to_setup: bool) -> Option<(Setting, &'static str)> {
    Some(match (name, to_setup) {
        ("api_key", false) => (Setting::ApiKey, "api_key="),
        ("api_key", true) => (Setting::ApiKey, "setup(api_key=…)"),
        ("admin_token", _) => (Setting::AdminToken, "admin_token="),
        ("api_endpoint", false) => (Setting::ApiEndpoint, "api_endpoint="),
        ("api_endpoint", true) => (Setting::ApiEndpoint, "setup(api_endpoint=…)"),
        ("auth_service_url", false) => (Setting::AuthServiceUrl, "auth_service_url="),
        ("auth_service_url", true) => (Setting::AuthServiceUrl, "setup(auth_service_url=…)"),
        _ => return None,
    })
}

fn shown(connection: &Connection, file: &str, warnings: &[String]) -> Value {
    let secret = |secret: &Option<Sourced<Secret>>| {
        secret.as_ref().map(|found| json!([found.value.expose(), found.source.to_string()]))
    };
    let plain = |plain: &Sourced<String>| json!([plain.value, plain.source.to_string()]);
    json!({
        "profile": plain(&connection.profile),
        "api_endpoint": plain(&connection.api_endpoint),
        "auth_service_url": plain(&connection.service_url),
        "api_key": secret(&connection.api_key),
        "admin_token": secret(&connection.admin_token),
        "file": file,
        "warnings": warnings,
    })
}
