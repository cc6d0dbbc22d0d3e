mod forge;
mod gateway;
mod model;
mod processes;
mod sandbox;

pub(crate) use self::{
    forge::{Forge, git_in, output_of},
    model::Model,
    processes::{children, descendants, environment, is_alive, kill, pids, program, wait_for},
    sandbox::{Answer, Harness, Sandbox},
};

pub(crate) const REMOTE: &str = "https://forge.example/acme/widget.git";
pub(crate) const BRANCH: &str = "paddock/widget-1";
