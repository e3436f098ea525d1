//! The parameters of a question about models.

use hokusai_client::{Denial, ModelQuery, ModelVersionQuery};

use super::invalid;

/// The parameters of a query, each of them once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(query: Option<&str>) -> Result<Self, Denial> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(name, "must be given once"));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn of_models(mut self) -> Result<ModelQuery, Denial> {
        let (model_type, tag) = (self.take("model_type"), self.take("tag"));
        let (page_size, cursor) = (self.page_size()?, self.take("cursor"));
        self.is_empty()?;
        Ok(ModelQuery { model_type, tag, page_size, cursor })
    }

    pub(super) fn of_versions(mut self) -> Result<ModelVersionQuery, Denial> {
        let (page_size, cursor) = (self.page_size()?, self.take("cursor"));
        self.is_empty()?;
        Ok(ModelVersionQuery { page_size, cursor })
    }

    fn page_size(&mut self) -> Result<Option<u32>, Denial> {
        let size = self.take("limit").map(|size| size.parse::<u32>());
        size.transpose().map_err(|_| invalid("limit", "must be a whole number from 1 to 1000"))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A misspelt filter would show other models than were asked for.
    pub(super) fn is_empty(&self) -> Result<(), Denial> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(name, "is no parameter here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_whole_or_refused() {
        let field =
            |query| Query::read(Some(query)).and_then(Query::of_models).map_err(|denial| denial.detail);
        let asked = field("model_type=a&tag=b:c&limit=5&cursor=d").unwrap();
        assert_eq!((asked.model_type.as_deref(), asked.page_size), (Some("a"), Some(5)));
        assert_eq!((asked.tag.as_deref(), asked.cursor.as_deref()), (Some("b:c"), Some("d")));
        assert_eq!(field("modeltype=a").unwrap_err(), "modeltype is no parameter here");
        assert_eq!(field("tag=a:b&tag=c:d").unwrap_err(), "tag must be given once");
        assert_eq!(field("limit=-1").unwrap_err(), "limit must be a whole number from 1 to 1000");
    }
}
