//! Converters that know lists of names: languages, dates, what is wrong with a certificate.

use super::{Converter, Step, bytes};
use crate::arg::{Args, Kind};
use crate::value::Type::{Int, Str};
use crate::value::Value;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("language", Args::some(1, &[Kind::Str, Kind::Str]), Str, Str, |v, step| {
        language(&bytes(v), step.text(0))
            .map(<[u8]>::to_vec)
            .or_else(|| Some(default(step)?.to_vec()))
            .map(|found| Value::Str(found.into()))
    })
    .doc(
        "The language a client likes best (`Accept-Language`, RFC 9110 §12.5.4) among those of \
          the list, which `;` separates, or the default.",
    ),
    Converter::new("date", Args::NONE, Str, Int, |v, _| {
        Some(Value::Int(date(std::str::from_utf8(&bytes(v)).ok()?)?))
    })
    .doc("Seconds since 1970 of a date of HTTP, in any of its three forms (RFC 9110 §5.6.7)."),
    Converter::new("x509_v_err_str", Args::NONE, Int, Str, |v, _| {
        let number = v.number()?;
        let name = usize::try_from(number).ok().and_then(|at| VERIFY_ERRORS.get(at));
        Some(Value::text(match name {
            Some(name) => format!("X509_V_{name}"),
            None => number.cast_unsigned().to_string(),
        }))
    })
    .doc("What OpenSSL calls a result of verification (`ssl_c_err`, `bc_err`)."),
];

fn default<'a>(step: &Step<'a, '_>) -> Option<&'a [u8]> {
    step.args.get(1).and_then(crate::arg::Arg::text)
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// The first of those a client likes best.
fn language<'l>(header: &[u8], list: &'l [u8]) -> Option<&'l [u8]> {
    let mut best: Option<(u16, &'l [u8])> = None;
    for part in header.split(|byte| *byte == b',') {
        let (tag, parameters) = match part.iter().position(|byte| *byte == b';') {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &b""[..]),
        };
        let tag = trim(tag);
        let base = tag.split(|byte| *byte == b'-').next().unwrap_or_default();
        let mut known = list.split(|byte| *byte == b';').filter(|one| !one.is_empty());
        let Some(found) = known.find(|one| *one == tag || *one == base) else { continue };
        let weight = weight(trim(parameters));
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, found));
        }
    }
    best.map(|(_, found)| found)
}

/// Thousandths of `q=0.8`; what is no weight is the greatest.
fn weight(text: &[u8]) -> u16 {
    const MOST: u16 = 1_000;
    match text.strip_prefix(b"q=") {
        Some([b'0', b'.', digits @ ..]) => {
            let digit = |at: usize| digits.get(at).filter(|digit| digit.is_ascii_digit());
            let mut thousandths = 0;
            for (at, unit) in [100, 10, 1].into_iter().enumerate() {
                let Some(digit) = digit(at) else { break };
                thousandths += u16::from(digit - b'0') * unit;
            }
            thousandths
        }
        Some([b'0', ..]) => 0,
        _ => MOST,
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn date(text: &str) -> Option<i64> {
    let words: Vec<&str> =
        text.split([' ', ',', '-']).filter(|word| !word.is_empty()).take(6).collect();
    let (day, month, year, time) = match words[..] {
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = 1 + MONTHS.iter().position(|known| *known == month)?;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let year = match year {
        // RFC 9110 §5.6.7: two digits are of this century or the one before.
        0..70 => 2000 + year,
        70..100 => 1900 + year,
        year => year,
    };
    let mut clock = time.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let fits = (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    fits.then(|| days(year, month as i64, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970, by the calendar of Gregory.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March: the day that is only sometimes there is then the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// OpenSSL 3's results of verification, by number, without their common beginning.
const VERIFY_ERRORS: &[&str] = &[
    "OK",
    "ERR_UNSPECIFIED",
    "ERR_UNABLE_TO_GET_ISSUER_CERT",
    "ERR_UNABLE_TO_GET_CRL",
    "ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE",
    "ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE",
    "ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
    "ERR_CERT_SIGNATURE_FAILURE",
    "ERR_CRL_SIGNATURE_FAILURE",
    "ERR_CERT_NOT_YET_VALID",
    "ERR_CERT_HAS_EXPIRED",
    "ERR_CRL_NOT_YET_VALID",
    "ERR_CRL_HAS_EXPIRED",
    "ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD",
    "ERR_ERROR_IN_CERT_NOT_AFTER_FIELD",
    "ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD",
    "ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD",
    "ERR_OUT_OF_MEM",
    "ERR_DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERR_SELF_SIGNED_CERT_IN_CHAIN",
    "ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "ERR_CERT_CHAIN_TOO_LONG",
    "ERR_CERT_REVOKED",
    "ERR_NO_ISSUER_PUBLIC_KEY",
    "ERR_PATH_LENGTH_EXCEEDED",
    "ERR_INVALID_PURPOSE",
    "ERR_CERT_UNTRUSTED",
    "ERR_CERT_REJECTED",
    "ERR_SUBJECT_ISSUER_MISMATCH",
    "ERR_AKID_SKID_MISMATCH",
    "ERR_AKID_ISSUER_SERIAL_MISMATCH",
    "ERR_KEYUSAGE_NO_CERTSIGN",
    "ERR_UNABLE_TO_GET_CRL_ISSUER",
    "ERR_UNHANDLED_CRITICAL_EXTENSION",
    "ERR_KEYUSAGE_NO_CRL_SIGN",
    "ERR_UNHANDLED_CRITICAL_CRL_EXTENSION",
    "ERR_INVALID_NON_CA",
    "ERR_PROXY_PATH_LENGTH_EXCEEDED",
    "ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE",
    "ERR_PROXY_CERTIFICATES_NOT_ALLOWED",
    "ERR_INVALID_EXTENSION",
    "ERR_INVALID_POLICY_EXTENSION",
    "ERR_NO_EXPLICIT_POLICY",
    "ERR_DIFFERENT_CRL_SCOPE",
    "ERR_UNSUPPORTED_EXTENSION_FEATURE",
    "ERR_UNNESTED_RESOURCE",
    "ERR_PERMITTED_VIOLATION",
    "ERR_EXCLUDED_VIOLATION",
    "ERR_SUBTREE_MINMAX",
    "ERR_APPLICATION_VERIFICATION",
    "ERR_UNSUPPORTED_CONSTRAINT_TYPE",
    "ERR_UNSUPPORTED_CONSTRAINT_SYNTAX",
    "ERR_UNSUPPORTED_NAME_SYNTAX",
    "ERR_CRL_PATH_VALIDATION_ERROR",
    "ERR_PATH_LOOP",
    "ERR_SUITE_B_INVALID_VERSION",
    "ERR_SUITE_B_INVALID_ALGORITHM",
    "ERR_SUITE_B_INVALID_CURVE",
    "ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM",
    "ERR_SUITE_B_LOS_NOT_ALLOWED",
    "ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256",
    "ERR_HOSTNAME_MISMATCH",
    "ERR_EMAIL_MISMATCH",
    "ERR_IP_ADDRESS_MISMATCH",
    "ERR_DANE_NO_MATCH",
    "ERR_EE_KEY_TOO_SMALL",
    "ERR_CA_KEY_TOO_SMALL",
    "ERR_CA_MD_TOO_WEAK",
    "ERR_INVALID_CALL",
    "ERR_STORE_LOOKUP",
    "ERR_NO_VALID_SCTS",
    "ERR_PROXY_SUBJECT_NAME_VIOLATION",
    "ERR_OCSP_VERIFY_NEEDED",
    "ERR_OCSP_VERIFY_FAILED",
    "ERR_OCSP_CERT_UNKNOWN",
    "ERR_UNSUPPORTED_SIGNATURE_ALGORITHM",
    "ERR_SIGNATURE_ALGORITHM_MISMATCH",
    "ERR_SIGNATURE_ALGORITHM_INCONSISTENCY",
    "ERR_INVALID_CA",
    "ERR_PATHLEN_INVALID_FOR_NON_CA",
    "ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN",
    "ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA",
    "ERR_ISSUER_NAME_EMPTY",
    "ERR_SUBJECT_NAME_EMPTY",
    "ERR_MISSING_AUTHORITY_KEY_IDENTIFIER",
    "ERR_MISSING_SUBJECT_KEY_IDENTIFIER",
    "ERR_EMPTY_SUBJECT_ALT_NAME",
    "ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL",
    "ERR_CA_BCONS_NOT_CRITICAL",
    "ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL",
    "ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL",
    "ERR_CA_CERT_MISSING_KEY_USAGE",
    "ERR_EXTENSIONS_REQUIRE_VERSION_3",
    "ERR_EC_KEY_EXPLICIT_PARAMS",
];
