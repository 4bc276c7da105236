//! Rows 16 and 24: an address that leads to other bytes than it did.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::V1;
use crate::harness::{Stored, marker, request, start};

const CHANGED: &str = "lazaret_changed_media_total";
const STREAMED: &str = r#"lazaret_requests_total{outcome="streamed",route="download"}"#;

/// A remote homeserver gives harmless bytes to who scans, and others later under the same address.
#[tokio::test]
async fn row_16_bytes_that_were_swapped_after_the_scan_are_not_delivered() {
    let (homeserver, _clamd, app) = start().await;
    for len in [50_000, 200_000] {
        let (infected, harmless) = (marker(len), vec![7; len]);
        homeserver.put_media("m", &Stored::media(&harmless));
        for _ in 0..2 {
            assert!(app.get(V1).await.body == harmless);
        }
        homeserver.put_media("m", &Stored::media(&infected));
        let sent = request("GET", V1).header("authorization", "Bearer token");
        let first = app.client.try_send(sent, b"").await;
        assert!(!first.is_ok_and(|answer| answer.status == 200), "{len}: delivered");
        app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(app.scans("infected").await, u64::from(len > 50_000) + 1, "{len}");
    }
    assert_eq!((app.metric(CHANGED).await, app.metric(STREAMED).await), (1, 2), "small ones are never sent unread");
}

/// Who scans one answer and serves another serves what nobody scanned.
#[tokio::test]
async fn row_24_what_is_served_is_what_was_scanned() {
    let (homeserver, _clamd, app) = start().await;
    let asked = AtomicUsize::new(0);
    homeserver.respond_with(move |_| {
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        Some(Stored::media(&if is_first { vec![7; 3_000_000] } else { marker(3_000_000) }))
    });
    let first = app.get(V1).await;
    assert!(first.status == 200 && first.body == vec![7; 3_000_000]);
    assert_eq!(homeserver.seen().len(), 1, "there is no second fetch to differ");
    assert_eq!(app.scans("clean").await, 1);
}
