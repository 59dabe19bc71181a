//! AWS Signature Version 4, for API Gateway with IAM, function URLs, OpenSearch and others.
//!
//! Source: `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html`.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use http::header::HeaderMap;

use super::{Sealing, UsedCredentials};
use towpath_config::target::SigV4;

pub(super) async fn sign(
    scheme: &SigV4,
    headers: &mut HeaderMap,
    sealing: &Sealing<'_>,
    proof: &mut UsedCredentials,
) -> Result<(), String> {
    let provider = sealing.credentials.ok_or("this host has no AWS credentials to sign with")?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| format!("no AWS credentials to sign with: {error}"))?;
    let session = credentials.session_token().map(str::to_owned);
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    if scheme.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&scheme.region)
        .name(&scheme.service)
        .time(UNIX_EPOCH + Duration::from_millis(sealing.now.0))
        .settings(settings)
        .build();
    let params = params.map_err(|error| format!("cannot sign: {error}"))?.into();
    let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let signed: Vec<(String, String)> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let signable = SignableRequest::new(
        sealing.method.as_str(),
        sealing.url.as_str(),
        signed.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(sealing.body),
    );
    let signable = signable.map_err(|error| format!("cannot sign: {error}"))?;
    let signed = sign_request(signable, &params).map_err(|error| format!("cannot sign: {error}"))?;
    let (instructions, signature) = signed.into_parts();
    proof.made(&signature);
    session.iter().for_each(|token| proof.made(token));
    let request = http::Request::builder().method(sealing.method).uri(sealing.url.as_str()).body(());
    let mut request = request.map_err(|error| format!("cannot sign: {error}"))?;
    instructions.apply_to_request_http1x(&mut request);
    for (name, mut value) in request.headers_mut().drain() {
        let Some(name) = name else { continue };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}
