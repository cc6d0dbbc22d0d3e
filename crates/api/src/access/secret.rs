use commands::Context;
use sha2::{Digest as _, Sha256};

/// What every API token begins with, so that scanners know one when they see it.
pub(super) const API_PREFIX: &str = "pdk_";

/// A secret that is shown once and stored as its digest.
pub(super) struct Secret(String);

impl Secret {
    /// 256 random bits.
    pub(super) fn draw(context: &Context, prefix: &str) -> Self {
        Self(format!("{prefix}{}", hex::encode(context.token())))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// A secret of 256 random bits needs no salt and no slow hash.
pub(super) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
