use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long a connection may lie unused before it is tried out: a try is a round trip, and one before
/// every command would cost a third of it.
const TRUSTED: Duration = Duration::from_secs(1);

/// A pool of at most `most` connections to the database at `url`, connected as they are needed.
pub fn connect(url: &str, most: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("paddock");
    Ok(PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < TRUSTED || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(options))
}
