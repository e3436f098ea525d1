//! The catalogue of models, for gateways and operators: list, show, create, and add versions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::models::{CreatedModelVersion, ModelInfo, ModelPage, ModelVersion, ModelWithVersions};
use hokusai_api::time;
use hokusai_core::model::{MAX_DESCRIPTION, MAX_NAME, MAX_SOURCE, ModelName};
use hokusai_engine::{Declined, ModelWish, VersionWish};
use hokusai_store::{Model, ModelFilter, ModelVersion as Version, VersionFilter};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::CatalogueCaller;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::ids::Id;
use crate::routes::pages::Query;
use crate::values;

/// Models or versions of a page, unless the request says otherwise.
const USUAL_LIMIT: i64 = 100;

pub(crate) async fn list(
    State(app): State<App>,
    CatalogueCaller(actor): CatalogueCaller,
    query: Query,
) -> Result<Json<ModelPage>, ApiError> {
    // A misspelt filter would show other models than were asked for; so would one of two.
    query.only(&["model_type", "tag", "limit", "cursor"])?;
    query.once("model_type")?;
    query.once("tag")?;
    let limit = query.limit(USUAL_LIMIT)?;
    let filter = ModelFilter {
        model_type: query.get("model_type", values::model_type)?,
        tag: query.get("tag", values::tag)?,
        after: query.get("cursor", values::line_up_to(MAX_NAME))?,
        limit: limit + 1,
    };
    let mut models = app.engine.list_models(&actor, &filter).await?;
    let is_last = !cut(&mut models, limit);
    let next_cursor = models.last().filter(|_| !is_last).map(|last| last.name.to_string());
    Ok(Json(ModelPage { models: models.iter().map(model_info).collect(), next_cursor }))
}

pub(crate) async fn show(
    State(app): State<App>,
    CatalogueCaller(actor): CatalogueCaller,
    Id(name): Id<ModelName>,
    query: Query,
) -> Result<Json<ModelWithVersions>, ApiError> {
    query.only(&["limit", "cursor"])?;
    let page = query.page_of(USUAL_LIMIT)?;
    let filter = VersionFilter { before: page.before, limit: page.limit + 1 };
    let (model, mut versions) = app.engine.show_model(&actor, &name, filter).await.map_err(model_error)?;
    let is_last = !cut(&mut versions, page.limit);
    let next_cursor = versions.last().filter(|_| !is_last).map(|last| last.version.to_string());
    let versions = versions.into_iter().map(version_info).collect();
    Ok(Json(ModelWithVersions { model: model_info(&model), versions, next_cursor }))
}

pub(crate) async fn create(
    State(app): State<App>,
    CatalogueCaller(actor): CatalogueCaller,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let mut fields = Fields::new(body.required()?);
    let name = fields.required("name", values::model_name);
    let model_type = fields.required("model_type", values::model_type);
    let description = fields.nullable("description", values::prose_up_to(MAX_DESCRIPTION)).flatten();
    let tags = fields.nullable("tags", values::tags).flatten();
    let user_id = fields.nullable("user_id", values::user_id).flatten();
    fields.finish_all_known()?;
    let wish = ModelWish {
        name: name.expect("finish refuses a missing name"),
        model_type: model_type.expect("finish refuses a missing type"),
        description: description.unwrap_or_default(),
        tags: tags.unwrap_or_else(|| "{}".into()),
        user_id,
    };
    let model = app.engine.create_model(&actor, wish).await?;
    Ok((StatusCode::CREATED, Json(model_info(&model))).into_response())
}

pub(crate) async fn create_version(
    State(app): State<App>,
    CatalogueCaller(actor): CatalogueCaller,
    Id(name): Id<ModelName>,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let mut fields = Fields::new(body.0.unwrap_or_default());
    let description = fields.nullable("description", values::prose_up_to(MAX_DESCRIPTION)).flatten();
    let source = fields.nullable("source", values::line_from_1_to(MAX_SOURCE)).flatten();
    let tags = fields.nullable("tags", values::tags).flatten();
    let user_id = fields.nullable("user_id", values::user_id).flatten();
    fields.finish_all_known()?;
    let wish = VersionWish {
        description: description.unwrap_or_default(),
        source,
        tags: tags.unwrap_or_else(|| "{}".into()),
        user_id,
    };
    let version = app.engine.create_model_version(&actor, &name, wish).await.map_err(model_error)?;
    let body = CreatedModelVersion { name: name.to_string(), version: version_info(version) };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Takes away what a page was asked for beyond its limit; says whether there was anything.
fn cut<T>(found: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    found.truncate(limit);
    has_more
}

fn model_error(declined: Declined) -> ApiError {
    match declined {
        Declined::NotFound => ApiError::not_found("Model"),
        other => other.into(),
    }
}

fn model_info(model: &Model) -> ModelInfo {
    ModelInfo {
        name: model.name.to_string(),
        model_type: model.model_type.as_str().to_owned(),
        description: model.description.clone(),
        tags: serde_json::from_str(&model.tags).unwrap_or_default(),
        latest_version: Some(model.latest_version).filter(|latest| *latest > 0),
        created_at: time::write(model.created_at.0),
        created_by: model.created_by.clone(),
        updated_at: time::write(model.updated_at.0),
    }
}

fn version_info(version: Version) -> ModelVersion {
    ModelVersion {
        version: version.version,
        description: version.description,
        source: version.source,
        tags: serde_json::from_str(&version.tags).unwrap_or_default(),
        created_at: time::write(version.created_at.0),
        created_by: version.created_by,
    }
}
