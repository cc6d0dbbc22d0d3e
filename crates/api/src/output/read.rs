use link::Item;

/// One stored item.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number: dense from 1 over all generations of the run.
    pub seq: u64,
    /// The exact JSON that was stored, on one line.
    pub json: String,
}

impl Stored {
    /// The item. What this build does not know reads as a gap, so that a reader goes on.
    #[must_use]
    pub fn item(&self) -> Item {
        serde_json::from_str(&self.json)
            .unwrap_or_else(|_| Item::Gap { reason: "written by a newer Paddock".to_owned() })
    }
}
