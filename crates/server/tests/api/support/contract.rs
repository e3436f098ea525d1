//! The OpenAPI document, as far as it says which answers there are.

use std::sync::OnceLock;

use serde_json::Value;

/// Statuses that a path need not list: the document's introduction speaks of them once for all.
const EVERYWHERE: [u16; 3] = [405, 408, 421];

/// What the document promises.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) fn served() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| Self(serde_json::from_str(include_str!("../../../openapi.json")).unwrap()))
    }

    /// Every path with its methods, in capitals.
    pub(crate) fn routes(&self) -> Vec<(String, Vec<String>)> {
        let paths = self.0["paths"].as_object().unwrap();
        let methods = |path: &Value| {
            let names = path.as_object().unwrap().keys().filter(|name| *name != "parameters");
            names.map(|name| name.to_uppercase()).collect()
        };
        paths.iter().map(|(path, methods_of)| (path.clone(), methods(methods_of))).collect()
    }

    /// Fails if the document does not know of such an answer.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16) {
        let Some(operation) = self.operation(method, path) else { return };
        let is_listed = operation["responses"].get(status.to_string()).is_some();
        assert!(
            is_listed || EVERYWHERE.contains(&status),
            "{method} {path} answered {status}, which openapi.json does not list"
        );
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object().unwrap();
        let exact = paths.get(path);
        let found =
            exact.or_else(|| paths.iter().find(|(known, _)| fits(known, path)).map(|(_, found)| found));
        found?.get(method.to_lowercase())
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(known, part)| known.starts_with('{') || known == part)
}
