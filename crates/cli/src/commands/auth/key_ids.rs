//! Ids of keys as people write them: whole, or as much of the beginning as fits one key.

use hokusai_api::keys::KeyInfo;
use hokusai_client::{Client, KeyQuery};
use hokusai_core::id::KeyId;

use crate::failure::Failure;
use crate::output;

/// The least that is read of an id.
const LEAST: usize = 8;
/// The least that is shown: up to the millisecond of its making, as keys that are not listed exist, too.
const SHOWN: usize = 13;
/// Characters of a whole id.
const WHOLE: usize = 36;
/// Terminals from this many columns on show ids whole.
const WIDE: u16 = 120;
/// Keys that are named when an id fits several.
const NAMED: usize = 5;

/// A whole id, or the beginning of one.
pub(crate) fn read(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    let fits = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if text.starts_with("hk_") {
        Err("is a key, or part of one, and not an id; `hokusai auth list-keys` shows the ids".to_owned())
    } else if !fits || text.len() > WHOLE {
        Err("is no key id; `hokusai auth list-keys` shows the ids".to_owned())
    } else if text.len() < LEAST {
        Err(format!("is too short: at least {LEAST} characters of an id are needed"))
    } else {
        Ok(text)
    }
}

/// The id that `text` begins.
pub(crate) async fn whole(text: &str, client: &Client) -> Result<KeyId, Failure> {
    if let (WHOLE, Ok(id)) = (text.len(), text.parse()) {
        return Ok(id);
    }
    let mut fitting: Vec<KeyInfo> = Vec::new();
    let mut pages = client.keys(&KeyQuery::default());
    while let Some(page) = pages.next().await? {
        fitting.extend(page.into_iter().filter(|key| key.key_id.starts_with(text)));
    }
    match fitting.as_slice() {
        [] => {
            let what = format!("no key has an id that begins with {text}");
            Err(Failure::refused(what, "`hokusai auth list-keys` shows the keys that there are"))
        }
        [one] => Ok(one.key_id.parse()?),
        several => {
            let some = several
                .iter()
                .take(NAMED)
                .map(|key| format!("{} ({})", key.key_id, output::shown(&key.name)));
            let some: Vec<String> = some.collect();
            let what = format!("{} keys have an id that begins with {text}", several.len());
            Err(Failure::refused(what, format!("write more of it: {}", some.join(", "))))
        }
    }
}

/// How many characters of these ids are shown: all of them where there is room, else as many as tell them
/// apart.
pub(crate) fn shown_length<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    if output::width() >= WIDE {
        return WHOLE;
    }
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let shared = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or(0).clamp(SHOWN, WHOLE)
}
