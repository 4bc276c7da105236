//! What classifying a request costs: it is done for every request, media or not.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use lazaret::http::{native::Config, route::classify};

fn classifier(criterion: &mut Criterion) {
    let (config, mut group) = (Config::default(), criterion.benchmark_group("classify"));
    for (name, path) in [
        ("download", "/_matrix/client/v1/media/download/matrix.example.org/AbCdEfGhIjKlMnOpQrStUvWx"),
        ("sync", "/_matrix/client/v3/sync"),
        ("send", "/_matrix/client/v3/rooms/!AbCdEfGhIjKlMnOpQr%3Aexample.org/send/m.room.message/m1732233445566.7"),
        ("hostile", "/_matrix/client/%252e%252e/%2e%2e/_matrix//%256dedia/v3/download/hs.test/abc"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| classify(&config, &Method::GET, black_box(path))));
    }
    group.finish();
}

criterion_group!(benches, classifier);
criterion_main!(benches);
