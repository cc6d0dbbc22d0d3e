use std::{fmt, ops::RangeInclusive};

/// What is wrong with one field of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, such as `memory_mib` or `env.TOKEN`.
    pub field: String,
    /// What is wrong, and what to do.
    pub words: String,
}

impl Fault {
    /// A field, and what is wrong with it.
    pub(super) fn new(field: impl Into<String>, words: impl Into<String>) -> Self {
        Self { field: field.into(), words: words.into() }
    }
}

/// Whether a number is where it should be.
pub(super) fn within(field: &str, value: u32, range: RangeInclusive<u32>) -> Option<Fault> {
    let words = format!("must be from {} to {}", range.start(), range.end());
    (!range.contains(&value)).then(|| Fault::new(field, words))
}

/// Why the settings refuse a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// What is asked for is not right in these fields.
    Invalid(Vec<Fault>),
    /// There is no such profile.
    NoSuchProfile(String),
    /// A run that names no profile gets this one.
    DefaultProfile,
}

impl Rejection {
    /// The stable name used in problem types and in `command.refused`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "settings-invalid",
            Self::NoSuchProfile(_) => "settings-profile-not-found",
            Self::DefaultProfile => "settings-profile-default",
        }
    }
}

impl std::error::Error for Rejection {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(faults) => {
                f.write_str("the settings are not valid")?;
                for (at, fault) in faults.iter().enumerate() {
                    let before = if at == 0 { ": " } else { "; " };
                    write!(f, "{before}{} {}", fault.field, fault.words)?;
                }
                Ok(())
            }
            Self::NoSuchProfile(name) => write!(f, "there is no profile {name}"),
            Self::DefaultProfile => f.write_str(
                "the profile default is what runs get that name none: change it, it cannot be removed",
            ),
        }
    }
}
