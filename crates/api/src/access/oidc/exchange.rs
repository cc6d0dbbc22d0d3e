use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    IdToken, IdTokenClaims, IdTokenFields, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
        CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde_json::Value;
use url::Url;

use super::{
    ALGORITHMS, Failure, Identity, LEEWAY, MAX_AGE, Oidc,
    identity::{Claims, Groups, shown},
    provider::{Provider, in_words},
};

type Token =
    IdToken<Claims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type OurClient = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that the browser is now sent to the provider with.
pub(crate) struct Begun {
    /// Where it is sent.
    pub(crate) url: Url,
    /// What it comes back with.
    pub(crate) state: String,
    /// What the token must hold.
    pub(crate) nonce: String,
    /// What the code is exchanged with.
    pub(crate) verifier: String,
}

impl Oidc {
    /// Begins a sign-in.
    pub(crate) async fn begin(&self) -> Result<Begun, Failure> {
        let provider = self.provider().await?;
        let random = || URL_SAFE_NO_PAD.encode(self.context().token());
        let (state, nonce, verifier) = (random(), random(), random());
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.clone()));
        let client = self.client(&provider)?;
        let (sent_state, sent_nonce) = (state.clone(), nonce.clone());
        let request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(sent_state),
                move || Nonce::new(sent_nonce),
            )
            .set_pkce_challenge(challenge)
            .add_scopes(self.scopes(&provider).into_iter().map(Scope::new));
        let (url, _, _) = request.url();
        Ok(Begun { url, state, nonce, verifier })
    }

    /// Exchanges the code and proves who it is about.
    pub(crate) async fn finish(
        &self,
        code: String,
        nonce: String,
        verifier: String,
    ) -> Result<Identity, Failure> {
        let provider = self.provider().await?;
        let http = self.http();
        let send = move |request: HttpRequest| http.clone().send(request);
        let answer = self
            .client(&provider)?
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Failure::ProviderUnavailable)?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&send)
            .await
            .map_err(|error| {
                // An answer that cannot be read may hold tokens: nothing of it is logged.
                let (failure, words) = match &error {
                    RequestTokenError::ServerResponse(said) => {
                        (Failure::CodeRefused, format!("{:?}", said.error()))
                    }
                    RequestTokenError::Request(error) => {
                        (Failure::ProviderUnavailable, in_words(error))
                    }
                    RequestTokenError::Parse(error, _) => {
                        (Failure::TokenInvalid, format!("it cannot be read at `{}`", error.path()))
                    }
                    RequestTokenError::Other(words) => (Failure::TokenInvalid, words.clone()),
                };
                tracing::warn!(code = failure.code(), why = words, "a code was not exchanged");
                failure
            })?;
        let token = answer.id_token().ok_or(Failure::TokenInvalid)?;
        let nonce = Nonce::new(nonce);
        let claims = match self.verified(&provider, token, &nonce)? {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let renewed = self.renewed(&provider).await?;
                self.verified(&renewed, token, &nonce)?
            }
            known => known,
        };
        let claims = claims.map_err(|error| {
            let why = in_words(&error);
            tracing::warn!(why, "a provider's token was refused");
            Failure::TokenInvalid
        })?;
        let userinfo = self.userinfo(&provider, answer.access_token().secret(), &claims).await;
        Ok(self.identity(&claims, userinfo.as_ref()))
    }

    /// What a token says, once it is proven that the provider says it: to us, now, for this sign-in.
    fn verified(
        &self,
        provider: &Provider,
        token: &Token,
        nonce: &Nonce,
    ) -> Result<Result<IdTokenClaims<Claims, CoreGenderClaim>, ClaimsVerificationError>, Failure>
    {
        let client = self.client(provider)?;
        let now = self.context().now();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now - LEEWAY)
            .set_issue_time_verifier_fn(move |issued| {
                if issued > now + LEEWAY {
                    return Err(format!("issued at {issued}, which is yet to come"));
                }
                if issued < now - MAX_AGE - LEEWAY {
                    return Err(format!("issued at {issued}, which is long ago"));
                }
                Ok(())
            });
        let claims = match token.claims(&verifier, nonce) {
            Ok(claims) => claims.clone(),
            Err(error) => return Ok(Err(error)),
        };
        if let Some(party) = claims.authorized_party()
            && party.as_str() != self.settings().client_id
        {
            let words = format!("authorised for `{}`", party.as_str());
            return Ok(Err(ClaimsVerificationError::InvalidAudience(words)));
        }
        Ok(Ok(claims))
    }

    /// What the provider tells of the person beside the token, where the token says nothing of groups.
    async fn userinfo(
        &self,
        provider: &Provider,
        access_token: &str,
        claims: &IdTokenClaims<Claims, CoreGenderClaim>,
    ) -> Option<serde_json::Map<String, Value>> {
        let own = Groups::of(&claims.additional_claims().0, &self.settings().groups_claim);
        if own != Groups::Missing {
            return None;
        }
        let url = provider.metadata.userinfo_endpoint()?.as_str().to_owned();
        match self.http().get(&url, access_token).await {
            Ok(Value::Object(told)) if told.get("sub")? == claims.subject().as_str() => Some(told),
            Ok(_) => None,
            Err(error) => {
                let why = in_words(&error);
                tracing::warn!(why, "the provider does not tell more of a person");
                None
            }
        }
    }

    fn identity(
        &self,
        claims: &IdTokenClaims<Claims, CoreGenderClaim>,
        userinfo: Option<&serde_json::Map<String, Value>>,
    ) -> Identity {
        let extra = &claims.additional_claims().0;
        let name = &self.settings().groups_claim;
        let groups = match (Groups::of(extra, name), userinfo) {
            (Groups::Missing, Some(told)) => Groups::of(told, name),
            (own, _) => own,
        };
        let told = |field: &str| userinfo.and_then(|told| told.get(field)?.as_str());
        let own_name = claims.name().and_then(|name| name.get(None)).map(|name| name.as_str());
        let preferred = claims.preferred_username().map(|name| name.as_str());
        let email = claims.email().map(|email| email.as_str());
        Identity {
            subject: claims.subject().as_str().to_owned(),
            name: shown(own_name.or_else(|| told("name")).or(preferred)),
            email: shown(email.or_else(|| told("email"))),
            groups: groups.known(),
            sid: extra.get("sid").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// Where a browser goes on to be signed out at the provider too, if it offers that.
    pub(crate) async fn sign_out_url(&self, back: &Url) -> Option<Url> {
        let provider = self.provider().await.ok()?;
        let end = &provider.metadata.additional_metadata().end_session_endpoint;
        let mut url = end.as_ref()?.url().clone();
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings().client_id)
            .append_pair("post_logout_redirect_uri", back.as_str());
        Some(url)
    }

    /// What is asked for: groups where the provider offers them, or whatever was configured.
    fn scopes(&self, provider: &Provider) -> Vec<String> {
        if let Some(scopes) = &self.settings().scopes {
            return scopes.iter().filter(|scope| *scope != "openid").cloned().collect();
        }
        let offered = provider.metadata.scopes_supported();
        let offers =
            |scope: &str| offered.is_some_and(|all| all.iter().any(|s| s.as_str() == scope));
        let mut scopes = vec!["profile".to_owned(), "email".to_owned()];
        if offers("groups") {
            scopes.push("groups".to_owned());
        }
        scopes
    }

    fn client(&self, provider: &Provider) -> Result<OurClient, Failure> {
        let settings = self.settings();
        let redirect = RedirectUrl::new(self.redirect().to_string());
        let client = OurClient::from_provider_metadata(
            provider.metadata.clone(),
            ClientId::new(settings.client_id.clone()),
            settings.client_secret.clone().map(ClientSecret::new),
        )
        .set_redirect_uri(redirect.map_err(|_| Failure::ProviderUnavailable)?);
        let by_header = provider
            .metadata
            .token_endpoint_auth_methods_supported()
            .is_none_or(|known| known.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let how = if by_header { AuthType::BasicAuth } else { AuthType::RequestBody };
        Ok(client.set_auth_type(how))
    }
}
