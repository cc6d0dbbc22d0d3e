/// Why somebody was not signed in. The codes are permanent: the page explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// The provider does not answer, or not as a provider does.
    ProviderUnavailable,
    /// The provider itself refused: the person, or the client.
    ProviderRefused,
    /// The sign-in was not begun here, was used, or took too long.
    Expired,
    /// Another browser began it.
    OtherBrowser,
    /// The provider did not take its own code back: it was used before, or is not for us.
    CodeRefused,
    /// What the provider says of the person is not proven.
    TokenInvalid,
    /// An administrator signed the person off.
    PersonDisabled,
    /// Too many sign-ins are under way.
    Busy,
}

impl Failure {
    pub(crate) const ALL: [Self; 8] = [
        Self::ProviderUnavailable,
        Self::ProviderRefused,
        Self::Expired,
        Self::OtherBrowser,
        Self::CodeRefused,
        Self::TokenInvalid,
        Self::PersonDisabled,
        Self::Busy,
    ];

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::ProviderUnavailable => "provider-unavailable",
            Self::ProviderRefused => "provider-refused",
            Self::Expired => "expired",
            Self::OtherBrowser => "other-browser",
            Self::CodeRefused => "code-refused",
            Self::TokenInvalid => "token-invalid",
            Self::PersonDisabled => "person-disabled",
            Self::Busy => "busy",
        }
    }
}
