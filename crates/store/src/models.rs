//! The catalogue of models, read. Only `change.rs` has it written: so each new model and version leaves its
//! audit entry. Nothing is ever deleted from it.

use hokusai_core::model::{ModelName, ModelType, Tag};
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};

/// A model in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What it is called, and found by.
    pub name: ModelName,
    /// Its place among all models in the order in which they were made, from 1 without a gap.
    pub number: i64,
    /// What kind of model it is.
    pub model_type: ModelType,
    /// What it is, for people.
    pub description: String,
    /// A flat object of texts, as JSON.
    pub tags: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// For which user.
    pub created_by: String,
    /// When it or its latest version was made.
    pub updated_at: Timestamp,
    /// The number of its latest version; 0: it has none.
    pub latest_version: i64,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    /// The number of its model.
    pub model: i64,
    /// Its own number: from 1 without a gap.
    pub version: i64,
    /// What is new about it, for people.
    pub description: String,
    /// Where it lies.
    pub source: Option<String>,
    /// A flat object of texts, as JSON.
    pub tags: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// For which user.
    pub created_by: String,
}

/// Which models to list, by name.
#[derive(Clone, Debug)]
pub struct ModelFilter {
    /// Only this kind.
    pub model_type: Option<ModelType>,
    /// Only those that have this tag.
    pub tag: Option<Tag>,
    /// Only those whose names come after this text, byte by byte.
    pub after: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// Which versions of a model to list, the latest first.
#[derive(Clone, Copy, Debug)]
pub struct VersionFilter {
    /// Only those below this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

macro_rules! columns {
    () => {
        "m.name, m.number, m.model_type, m.description, m.tags, m.created_at, m.created_by, m.updated_at,
            m.latest_version"
    };
}

pub(crate) const BY_NAME: &str = concat!("select ", columns!(), " from models m where m.name = $1");
pub(crate) const HIGHEST: &str = "select coalesce(max(number), 0) from models";

/// One text for each index that a list can follow: a condition that may be absent hinders both databases.
macro_rules! list {
    ($from:literal, $name:literal, $type:literal, $first:literal) => {
        concat!(
            "select ",
            columns!(),
            " from ",
            $from,
            " where ",
            $name,
            " > $1 and ($2 is null or ",
            $type,
            " = $2) and ",
            $first,
            " order by ",
            $name,
            " limit $5"
        )
    };
}
const ALL: &str = list!("models m", "m.name", "m.model_type", "$3 is null and $4 is null");
const OF_TYPE: &str =
    list!("models m", "m.name", "m.model_type", "m.model_type = $2 and $3 is null and $4 is null");
const TAGGED: &str = list!(
    "model_tags t join models m on m.name = t.model",
    "t.model",
    "t.model_type",
    "t.key = $3 and t.value = $4"
);

#[derive(sqlx::FromRow)]
pub(crate) struct ModelRow {
    name: String,
    number: i64,
    model_type: String,
    description: String,
    tags: String,
    created_at: i64,
    created_by: String,
    updated_at: i64,
    latest_version: i64,
}

#[derive(sqlx::FromRow)]
pub(crate) struct VersionRow {
    model: i64,
    version: i64,
    description: String,
    source: Option<String>,
    tags: String,
    created_at: i64,
    created_by: String,
}

impl TryFrom<ModelRow> for Model {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged { what: "model" };
        Ok(Self {
            name: ModelName::parse(&row.name).ok_or_else(damaged)?,
            number: row.number,
            model_type: ModelType::parse(&row.model_type).ok_or_else(damaged)?,
            description: row.description,
            tags: row.tags,
            created_at: Timestamp(row.created_at),
            created_by: row.created_by,
            updated_at: Timestamp(row.updated_at),
            latest_version: row.latest_version,
        })
    }
}

impl From<VersionRow> for ModelVersion {
    fn from(row: VersionRow) -> Self {
        Self {
            model: row.model,
            version: row.version,
            description: row.description,
            source: row.source,
            tags: row.tags,
            created_at: Timestamp(row.created_at),
            created_by: row.created_by,
        }
    }
}

impl ModelFilter {
    /// The list that follows the index which leaves the fewest models.
    fn list(&self) -> &'static str {
        match (&self.tag, &self.model_type) {
            (Some(_), _) => TAGGED,
            (None, Some(_)) => OF_TYPE,
            (None, None) => ALL,
        }
    }
}

impl Store {
    /// Lists models by name.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn list_models(&self, filter: &ModelFilter) -> Result<Vec<Model>, StoreError> {
        run!(self, list_models(filter))?.into_iter().map(Model::try_from).collect()
    }

    /// A model with versions of it, all of one instant; `None` if there is no such model.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn find_model(
        &self,
        name: &ModelName,
        filter: VersionFilter,
    ) -> Result<Option<(Model, Vec<ModelVersion>)>, StoreError> {
        let Some((model, versions)) = run!(self, find_model(name, filter))? else { return Ok(None) };
        Ok(Some((model.try_into()?, versions.into_iter().map(ModelVersion::from).collect())))
    }
}

both! {
    pub(crate) async fn list_models(
        db: &here::Db,
        filter: &ModelFilter,
    ) -> Result<Vec<ModelRow>, StoreError> {
        let rows = sqlx::query_as(filter.list())
            // No name is empty: all of them come after that.
            .bind(filter.after.as_deref().unwrap_or_default())
            .bind(filter.model_type.as_ref().map(ModelType::as_str))
            .bind(filter.tag.as_ref().map(|tag| &tag.key))
            .bind(filter.tag.as_ref().map(|tag| &tag.value))
            .bind(filter.limit);
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn find_model(
        db: &here::Db,
        name: &ModelName,
        filter: VersionFilter,
    ) -> Result<Option<(ModelRow, Vec<VersionRow>)>, StoreError> {
        let mut tx = db.read().begin_with(here::SNAPSHOT).await?;
        let model: Option<ModelRow> =
            sqlx::query_as(BY_NAME).bind(name.as_str()).fetch_optional(&mut *tx).await?;
        let Some(model) = model else { return Ok(None) };
        let versions = sqlx::query_as(
            "select model, version, description, source, tags, created_at, created_by from model_versions
                where model = $1 and version < $2 order by version desc limit $3",
        );
        let versions = versions
            .bind(model.number)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.limit)
            .fetch_all(&mut *tx)
            .await?;
        Ok(Some((model, versions)))
    }

    pub(crate) async fn insert(tx: &mut here::Connection, model: &Model) -> Result<(), sqlx::Error> {
        let insert = "insert into models (name, number, model_type, description, tags, created_at, created_by,
                updated_at, latest_version)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        sqlx::query(insert)
            .bind(model.name.as_str())
            .bind(model.number)
            .bind(model.model_type.as_str())
            .bind(&model.description)
            .bind(&model.tags)
            .bind(model.created_at.0)
            .bind(&model.created_by)
            .bind(model.updated_at.0)
            .bind(model.latest_version)
            .execute(&mut *tx)
            .await?;
        let tags = here::either(
            "insert into model_tags (key, value, model, model_type) select key, value, $1, $2 from json_each($3)",
            "insert into model_tags (key, value, model, model_type)
                select key, value, $1, $2 from json_each_text($3::json)",
        );
        sqlx::query(tags)
            .bind(model.name.as_str())
            .bind(model.model_type.as_str())
            .bind(&model.tags)
            .execute(tx)
            .await?;
        Ok(())
    }

    pub(crate) async fn insert_version(
        tx: &mut here::Connection,
        version: &ModelVersion,
    ) -> Result<(), sqlx::Error> {
        let insert = "insert into model_versions (model, version, description, source, tags, created_at, created_by)
            values ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(insert)
            .bind(version.model)
            .bind(version.version)
            .bind(&version.description)
            .bind(&version.source)
            .bind(&version.tags)
            .bind(version.created_at.0)
            .bind(&version.created_by)
            .execute(&mut *tx)
            .await?;
        sqlx::query("update models set latest_version = $2, updated_at = $3 where number = $1")
            .bind(version.model)
            .bind(version.version)
            .bind(version.created_at.0)
            .execute(tx)
            .await?;
        Ok(())
    }
}
