//! Overrides in stores that outlive a process, or that fail.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{download, saying};
use crate::harness::{AppBuilder, Binary, Clamd, Homeserver, RedisServer, Stored, eventually, marker, request, signal};

async fn get(node: &Binary) -> u16 {
    let asked = request("GET", &download("m")).header("authorization", "Bearer token");
    node.client.send(asked, b"").await.status.as_u16()
}

async fn post(node: &Binary, path: &str, body: &Value) -> u16 {
    node.admin.send(request("POST", path), body.to_string().as_bytes()).await.status.as_u16()
}

fn letting_pass() -> Value {
    let mut new = saying("clean", "30d");
    new["mxc"] = "mxc://hs.test/m".into();
    new
}

#[tokio::test]
async fn overrides_survive_a_process_that_is_killed() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    homeserver.put_media("m", &Stored::media(&marker(1000)));
    let disk = "cache: {store: disk, path: 'DIR/verdicts', secret_path: 'DIR/cache_secret'}";
    let node = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd).with(disk));
    let mut process = node.serve(Stdio::null()).await;
    assert_eq!(get(&node).await, 403);
    assert_eq!(post(&node, "/cache/overrides", &letting_pass()).await, 201);
    assert_eq!(get(&node).await, 200);
    signal(&process, Signal::KILL);
    process.wait().await.unwrap();
    let _again = node.serve(Stdio::null()).await;
    assert_eq!(get(&node).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overrides_reach_all_nodes_and_stay_when_the_store_forgets_or_fails() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut redis = RedisServer::start().await;
    homeserver.put_media("m", &Stored::media(&marker(1000)));
    let settings = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section(""));
    let [one, other] = [(); 2].map(|()| Binary::new(&settings));
    let _running = [one.serve(Stdio::null()).await, other.serve(Stdio::null()).await];
    assert_eq!((get(&one).await, get(&other).await), (403, 403));
    assert_eq!(post(&one, "/cache/overrides", &letting_pass()).await, 201);
    assert_eq!(get(&one).await, 200);
    eventually("the other node hears of it", || async { get(&other).await == 200 }).await;

    let _: String = redis.ask(&["FLUSHALL"]).await;
    let later = Binary::new(&settings);
    let _later = later.serve(Stdio::null()).await;
    eventually("a later node hears of it, too", || async { get(&later).await == 200 }).await;

    redis.stop();
    eventually("the store is left alone", || async { one.admin.get("/cache/stats").await.json()["degraded"] == true })
        .await;
    assert_eq!((get(&one).await, get(&other).await), (200, 200));
    assert_eq!(post(&one, "/cache/overrides", &saying_infected()).await, 503);
    assert_eq!(post(&one, "/cache/purge", &json!({"all": true})).await, 503);
    let list = one.admin.get("/cache/overrides").await.json();
    assert_eq!(list["overrides"].as_array().unwrap().len(), 1, "what no store has taken is not in force: {list}");
}

fn saying_infected() -> Value {
    let mut new = saying("infected", "30d");
    new["signature"] = "X".into();
    new
}
