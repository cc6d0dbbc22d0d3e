//! The demo's parts by themselves: the forge against real git and GitHub's published schemas, the scripted
//! model by itself and under the real OpenCode.

mod forge_faults;
mod forge_git;
mod forge_pages;
mod forge_rest;
mod forge_schema;
mod model_api;
mod opencode;
mod programs;
mod support;
