//! The schema, made and brought up to date by its owner.

use sqlx::{Connection, PgConnection, migrate::Migrator};

/// Every migration, compiled in.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be reached.
    #[error("the database cannot be reached as the owner")]
    Connect(#[source] sqlx::Error),
    /// A migration failed; what it did was undone.
    #[error("a migration failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// Brings the schema up to date, as the role in `owner_url`, which becomes or is its owner. Several at
/// once wait for each other.
pub async fn migrate(owner_url: &str) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect(owner_url).await.map_err(MigrateError::Connect)?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await.map_err(MigrateError::Connect)
}
