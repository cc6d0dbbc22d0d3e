//! The read models on a real database.

mod lists;
mod page;
mod projector;
mod rebuild;
mod story;
mod support;
mod tasks;
