//! What the page verifies in the browser is what is made here: vectors for its tests, made anew and compared.

use std::path::Path;

use audit::{Hash, SignedCheckpoint, hold::Handover, proof::Proof, tile};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::log::{Log, key};

const FILE: &str = "../../web/src/features/audit/vectors.json";
const SIZE: u64 = 23;
const ROTATED: u64 = 12;

fn made(leaves: &[Hash], proof: Proof) -> Vec<String> {
    let needs = proof.needs().unwrap();
    let root = |need: &tile::Subtree| {
        let first = usize::try_from(need.place << need.height).unwrap();
        tile::root_of(&leaves[first..first + (1 << need.height)]).unwrap()
    };
    let hashes: Vec<Hash> = needs.iter().map(root).collect();
    proof.made_of(&hashes).unwrap().iter().map(hex::encode).collect()
}

fn vectors() -> Value {
    let (lines, _) = Log { rotated: Some((ROTATED, true)), every: 1, ..Log::of(SIZE) }.lines();
    let mut events = vec![];
    let mut checkpoints = vec![];
    for line in &lines {
        let value: Value = serde_json::from_str(line).unwrap();
        if let Some(note) = value["checkpoint"].as_str() {
            checkpoints.push(note.to_owned());
        } else if value["leaf"].is_string() {
            // The entry as it is in the line: canonical.
            let (_, rest) = line.split_once(",\"entry\":").unwrap();
            let (entry, _) = rest.rsplit_once(",\"leaf\":").unwrap();
            events.push((entry.to_owned(), value["body"].as_str().unwrap().to_owned()));
        }
    }
    let leaf = |entry: &String| -> Hash {
        Sha256::new().chain_update([0]).chain_update(entry.as_bytes()).finalize().into()
    };
    let leaves: Vec<Hash> = events.iter().map(|(entry, _)| leaf(entry)).collect();
    let inclusion = (1..=SIZE).flat_map(|size| (1..=size).map(move |position| (position, size)));
    let inclusion: Vec<Value> = inclusion
        .filter(|(position, size)| size.is_power_of_two() || (position + size) % 5 == 0)
        .map(|(position, size)| {
            let hashes = made(&leaves, Proof::Inclusion { position, size });
            json!({ "position": position, "size": size, "hashes": hashes })
        })
        .collect();
    let consistency = (1..=SIZE).flat_map(|to| (1..=to).map(move |from| (from, to)));
    let consistency: Vec<Value> = consistency
        .map(|(from, to)| json!({ "from": from, "to": to, "hashes": made(&leaves, Proof::Consistency { from, size: to }) }))
        .collect();
    let place = usize::try_from(ROTATED).unwrap() - 1;
    json!({
        "keys": [key(1).verifying().as_str(), key(2).verifying().as_str()],
        "events": events.iter().map(|(entry, stored)| json!({ "entry": entry, "stored": stored })).collect::<Vec<_>>(),
        "checkpoints": checkpoints,
        "inclusion": inclusion,
        "consistency": consistency,
        "handover": {
            "checkpoint": checkpoints[place],
            "position": ROTATED,
            "entry": events[place].0,
            "stored": events[place].1,
            "hashes": made(&leaves, Proof::Inclusion { position: ROTATED, size: ROTATED }),
        },
    })
}

#[test]
fn the_vectors_of_the_page_are_as_they_are_made() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = format!("{}\n", serde_json::to_string_pretty(&vectors()).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{FILE} is another: make it anew with UPDATE_SNAPSHOTS=1");
}

#[test]
fn a_handover_proves_itself_and_nothing_else() {
    let handover: Handover = serde_json::from_value(vectors()["handover"].clone()).unwrap();
    assert_eq!(handover.from(key(1).verifying()).as_ref(), Some(key(2).verifying()));
    assert_eq!(handover.from(key(2).verifying()), None);
    assert_eq!(handover.from(key(3).verifying()), None);
    // Anybody can add a signature of their own to what a log signed: that hands over nothing.
    let signed = SignedCheckpoint::parse(vectors()["checkpoints"][5].as_str().unwrap()).unwrap();
    let own = signed.checkpoint().clone().sign(&[&key(3)]);
    let (_, line) = own.note().rsplit_once("\n\n").unwrap();
    let both = signed.with(line).unwrap();
    assert!(both.is_signed_by(key(1).verifying()) && both.is_signed_by(key(3).verifying()));
    for (checkpoint, stored) in [
        (both.note(), handover.stored.clone()),
        (
            &*handover.checkpoint,
            handover.stored.replace(key(2).verifying().as_str(), key(3).verifying().as_str()),
        ),
    ] {
        let forged = Handover { checkpoint: checkpoint.to_owned(), stored, ..handover.clone() };
        assert_eq!(forged.from(key(1).verifying()), None);
    }
}
