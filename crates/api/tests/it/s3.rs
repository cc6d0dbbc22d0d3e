//! A server of S3's protocol, of another make, over a directory.

use std::{path::Path, sync::Arc};

use axum::Router;
use object_store::{ObjectStore, aws::AmazonS3Builder};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

const BUCKET: &str = "bundles";
const KEY: &str = "paddock";

/// A bucket whose objects are below `root`.
pub(crate) async fn bucket(root: &Path) -> Arc<dyn ObjectStore> {
    std::fs::create_dir(root.join(BUCKET)).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single(KEY, KEY));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback_service(tower::service_fn({
        let service = service.build();
        move |request| {
            let mut service = service.clone();
            async move {
                let answer = tower::Service::call(&mut service, request).await;
                Ok::<_, std::convert::Infallible>(answer.unwrap().map(axum::body::Body::new))
            }
        }
    }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id(KEY)
        .with_secret_access_key(KEY);
    Arc::new(store.build().unwrap())
}
