//! Server-sent events: tells the pages that the lake has a new version.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, stream};
use serde_json::json;

use crate::lake::manifest_store;
use crate::open::lake_or_empty;
use crate::ui::Ui;

/// Time between two looks at the lake. On S3, each is one request.
const INTERVAL: Duration = Duration::from_secs(5);

/// The event `lake` with the number of the newest version, whenever it changes.
pub(super) async fn events(State(ui): State<Arc<Ui>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let known = newest(&ui).await;
    let changes = stream::unfold((ui, known), |(ui, known)| async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let version = newest(&ui).await;
            // A lake that cannot be read for a moment has no news.
            if version.is_some() && version != known {
                let event = Event::default().event("lake").data(json!({ "version": version }).to_string());
                return Some((Ok(event), (ui, version)));
            }
        }
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}

/// Returns the newest version; `None` if there is none, or if the lake cannot be read.
async fn newest(ui: &Ui) -> Option<u64> {
    let lake = lake_or_empty(&ui.config).await.ok()?;
    manifest_store::latest_number(&lake).await.ok()?
}
