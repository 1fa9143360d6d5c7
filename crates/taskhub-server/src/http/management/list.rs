//! Lists of instances, page by page.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use taskhub_core::{
    InstanceId, Text, Timestamp,
    store::{Cursor, Filter, Page},
};

use super::{
    answer,
    call::{Answered, Call},
    query::Query,
    status::InstanceStatus,
};

/// Where a page goes on, in requests and in answers.
const TOKEN: HeaderName = HeaderName::from_static("x-ms-continuation-token");

/// How many entries a page has when the client does not say, and at most.
const PAGE_COUNT: usize = 100;
const PAGE_COUNT_MAX: usize = 1_000;

/// How many bytes of payload a page has. One instance may have more.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// How many inputs are read before the bytes are counted again.
const CHUNK_COUNT: usize = 32;

impl Call {
    /// `GET instances`
    pub(super) async fn list(self) -> Answered<Response> {
        let query = &self.query;
        let filter = Filter {
            after: token_in(&self.parts.headers)?,
            limit: page_count(query),
            ..filter(query)?
        };
        let page = self.page(filter).await?;
        let with_inputs = query.flag("showInput").unwrap_or(true);
        let (mut shown, mut bytes, mut next) = (Vec::new(), 0, page.next);
        'page: for chunk in page.instances.chunks(CHUNK_COUNT) {
            let started = if with_inputs {
                let _turn = self.read().await?;
                let ids = chunk.iter().map(|(id, _)| id.clone()).collect();
                self.hub.all_started(ids).await.map_err(answer::unreadable)?
            } else {
                vec![None; chunk.len()]
            };
            for ((id, record), started) in chunk.iter().zip(started) {
                let input = started.and_then(|started| started.input);
                let status = InstanceStatus::of(id, record, input.as_deref());
                bytes += status.bytes();
                shown.push(status);
                if bytes > PAGE_BYTES_MAX {
                    next = Some(Cursor { at: record.created_at, instance: id.clone() });
                    break 'page;
                }
            }
        }
        let response = answer::json(StatusCode::OK, &shown);
        Ok(with_token(response, next.as_ref()))
    }

    /// A page of what the hub has.
    pub(super) async fn page(&self, filter: Filter) -> Answered<Page> {
        let _turn = self.read().await?;
        Ok(self.hub.query(filter).await.map_err(answer::unreadable)?)
    }
}

/// Which instances are meant.
/// By name, by tag, and those that are parked, are additions.
pub(super) fn filter(query: &Query) -> Answered<Filter> {
    Ok(Filter {
        statuses: query.statuses("runtimeStatus"),
        prefix: query.text("instanceIdPrefix").filter(|it| !it.is_empty()).map(Text::from),
        created_from: query.time("createdTimeFrom"),
        created_to: query.time("createdTimeTo").map(including),
        name: query.text("name").filter(|it| !it.is_empty()).map(Text::from),
        tags: tags(query)?,
        stuck: query.flag("stuck").unwrap_or(false),
        ..Filter::default()
    })
}

/// The labels in a query, each as `tag=key:value`, sorted by key.
pub(super) fn tags(query: &Query) -> Answered<Vec<(Text, Text)>> {
    let mut tags = Vec::new();
    for tag in query.all("tag") {
        let wrong = || answer::bad_argument(&format!("{tag:?} is no tag; write `tag=key:value`"));
        let (key, value) = tag.split_once(':').ok_or_else(wrong)?;
        tags.push((Text::from(key), Text::from(value)));
    }
    tags.sort();
    tags.dedup();
    if let Some(pair) = tags.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let why = format!("the tag {:?} has two values, and can have one", pair[0].0);
        return Err(answer::bad_argument(&why).into());
    }
    Ok(tags)
}

/// The end of a range that includes the point in time itself, as clients mean it.
pub(super) fn including(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_add(1))
}

pub(super) fn page_count(query: &Query) -> usize {
    match query.count("top") {
        None | Some(0) => PAGE_COUNT,
        Some(count) => count.min(PAGE_COUNT_MAX),
    }
}

/// Says where the next page begins; a page without this is the last.
pub(super) fn with_token(mut response: Response, next: Option<&Cursor>) -> Response {
    if let Some(token) = next.map(token_out)
        && let Ok(token) = HeaderValue::from_str(&token)
    {
        response.headers_mut().insert(TOKEN, token);
    }
    response
}

/// A token is a time and an id, so that it stays good whatever happens to the list meanwhile.
fn token_out(cursor: &Cursor) -> String {
    let id: String = form_urlencoded::byte_serialize(cursor.instance.as_str().as_bytes()).collect();
    format!("{}.{id}", cursor.at.0)
}

/// Where the page begins that a client asks for.
pub(super) fn token_in(headers: &HeaderMap) -> Answered<Option<Cursor>> {
    let Some(token) = headers.get(&TOKEN).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let cursor = token.to_str().ok().and_then(read_token);
    let wrong = || answer::bad_argument(&format!("{token:?} is no continuation token of ours"));
    Ok(Some(cursor.ok_or_else(wrong)?))
}

fn read_token(token: &str) -> Option<Cursor> {
    let (at, id) = token.split_once('.')?;
    let id = id.replace('+', " ");
    let id = percent_encoding::percent_decode_str(&id).decode_utf8().ok()?;
    Some(Cursor { at: Timestamp(at.parse().ok()?), instance: InstanceId::trusted(id.as_ref()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_out_and_back() {
        for id in ["a", "ünï +%cödé", "@counter@a.b"] {
            let cursor = Cursor { at: Timestamp(-17), instance: InstanceId::trusted(id) };
            let token = token_out(&cursor);
            assert!(HeaderValue::from_str(&token).is_ok(), "{token}");
            assert_eq!(read_token(&token), Some(cursor));
        }
    }
}
