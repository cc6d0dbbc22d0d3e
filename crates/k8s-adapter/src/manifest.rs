use serde::Serialize;

use crate::{admission, crds};

/// All that a cluster has to know before Paddock runs there, as YAML documents for `kubectl apply`.
///
/// # Errors
///
/// Where an object cannot be written as YAML.
pub fn manifest() -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for definition in crds::definitions() {
        push(&mut text, &definition)?;
    }
    push(&mut text, &admission::policy())?;
    push(&mut text, &admission::binding())?;
    Ok(text)
}

fn push(text: &mut String, object: &impl Serialize) -> Result<(), serde_saphyr::ser::Error> {
    text.push_str("---\n");
    text.push_str(&serde_saphyr::to_string(object)?);
    Ok(())
}
