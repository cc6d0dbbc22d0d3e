mod forge;
mod gateway;
mod model;
mod sandbox;

pub(crate) use self::{
    forge::{Forge, git, git_in, output_of},
    model::Model,
    sandbox::{Answer, Harness, Sandbox, wait_for},
};

pub(crate) const REMOTE: &str = "https://forge.example/acme/widget.git";
pub(crate) const BRANCH: &str = "paddock/widget-1";
