//! The options that avoid an error. The rooms below name things in their errors; only the command line knows how each is given.

use towpath_compose::ListenError;
use towpath_operate::archive::NoArchive;
use towpath_operate::dlq::edit::{EditError, RouteError};
use towpath_operate::erase::EraseError;
use towpath_operate::known::UnknownWithoutConfig;
use towpath_operate::letters::LettersError;
use towpath_operate::place::NoPlace;
use towpath_operate::record::OnlyReceived;
use towpath_operate::replay::ReplayError;
use towpath_operate::routed::MissingText;
use towpath_operate::set::NotJson;
use towpath_operate::story::StoryError;
use towpath_verify::sign::Unsignable;

/// What to do about an error, if an option of the command line helps.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let any = [
        error.is::<UnknownWithoutConfig>().then_some("give --config FILE"),
        error.is::<NoPlace>().then_some("give --store DIR, --queue-url URL or --config FILE"),
        error.downcast_ref().map(of_archive),
        error
            .is::<OnlyReceived>()
            .then_some("give --dead to record dead letters, or --listen to record what is posted"),
        error.is::<NotJson>().then_some("give --body FILE to replace the whole body"),
        error.is::<MissingText>().then_some("give --param NAME=TEXT"),
        error.downcast_ref().and_then(of_signing),
        error.downcast_ref().and_then(of_edit),
        error.downcast_ref().map(of_letters),
        error.downcast_ref().and_then(of_replay),
        error.downcast_ref().and_then(of_erase),
        error.downcast_ref().map(of_story),
        error.downcast_ref().map(of_listen),
    ];
    any.into_iter().flatten().next()
}

fn of_archive(error: &NoArchive) -> &'static str {
    match error {
        NoArchive::NoConfig => "give --folder DIR, --bucket S3-URL or --config FILE",
        NoArchive::NoBucket(_) => "give --bucket S3-URL, or add archive.bucket to the config",
        NoArchive::NotConfigured(_) => "give --folder DIR or --bucket S3-URL, or add archive.bucket to the config",
    }
}

fn of_signing(error: &Unsignable) -> Option<&'static str> {
    match error {
        Unsignable::NoPrivateKey => Some(
            "make a key pair of your own, put its public key into the route of a test config, and give --private-key FILE",
        ),
        Unsignable::OtherAlgorithm | Unsignable::OtherKey => Some("give the right one by --private-key"),
        Unsignable::Place(_) | Unsignable::NoSecret | Unsignable::Unverified(_) => None,
    }
}

fn of_edit(error: &EditError) -> Option<&'static str> {
    match error {
        EditError::Unverified { .. } => Some(
            "if you know the sender by other means, give --accept-unverified, and say why with --note; `towpath dlq redrive` sends \
            it back unedited, to be verified again",
        ),
        EditError::UnknownGroup(RouteError::NoConfig) => Some("give --config FILE, or --keep-group"),
        EditError::UnknownGroup(RouteError::NotInConfig { .. }) => Some("give another --config, or --keep-group"),
        EditError::UnknownWebhookId(RouteError::NoConfig) => Some("give --config FILE"),
        EditError::UnknownWebhookId(RouteError::NotInConfig { .. }) => Some("give another --config"),
        EditError::PartOfGroup => Some("give --keep-group"),
        EditError::Unchanged | EditError::NoNoteKey => None,
    }
}

/// What to do about letters that cannot be opened or sent back.
pub(crate) fn of_letters(error: &LettersError) -> &'static str {
    match error {
        LettersError::OwnQueue => "leave --to out: it is for queues of SQS",
        LettersError::NoRefusedQueue => "give --config FILE",
        LettersError::NoDestination => "give --to URL, or --config FILE",
        LettersError::Parked => "give --store DIR",
    }
}

fn of_replay(error: &ReplayError) -> Option<&'static str> {
    match error {
        ReplayError::Everything => Some("give a filter, such as --route crm or --since 24h"),
        ReplayError::Overtaken { .. } => Some(
            "--plan lists the groups; a later --until, or none, selects their later events too; --overtaken replays them as they are",
        ),
        ReplayError::NoConfig | ReplayError::NoQueue => Some("give --config FILE"),
        ReplayError::Elsewhere { .. } => Some("give the --config, --store or --queue-url with which it was started"),
        ReplayError::NoRun(_) => Some("`towpath replay list` shows the runs"),
        ReplayError::NoNoteKey | ReplayError::Complete(_) | ReplayError::Running => None,
    }
}

fn of_erase(error: &EraseError) -> Option<&'static str> {
    match error {
        EraseError::Everything => Some("give --group GROUP, or --match POINTER=VALUE"),
        EraseError::Busy | EraseError::Earlier { .. } => None,
    }
}

fn of_story(error: &StoryError) -> &'static str {
    match error {
        StoryError::NoFolder(_) => "--file is the file that `towpath poll --story` keeps",
        StoryError::NotNamed => "give --store DIR, --file FILE or --config FILE",
    }
}

fn of_listen(error: &ListenError) -> &'static str {
    match error {
        ListenError::Ingest(_) => "--listen takes another address",
        ListenError::Sqs(_) => "--sqs takes another address",
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_has_its_hint_also_as_context_and_below_another_one() {
        let plain = anyhow::Error::new(LettersError::NoDestination);
        let context = Err::<(), _>(anyhow::anyhow!("cannot read towpath.toml")).context(NoPlace).expect_err("an error");
        let below = anyhow::Error::new(StoryError::NotNamed).context("reading the story");
        let edit = anyhow::Error::new(EditError::UnknownGroup(RouteError::NoConfig));
        let cases = [
            (plain, Some("give --to URL, or --config FILE")),
            (context, Some("give --store DIR, --queue-url URL or --config FILE")),
            (below, Some("give --store DIR, --file FILE or --config FILE")),
            (edit, Some("give --config FILE, or --keep-group")),
            (anyhow::anyhow!("another error"), None),
        ];
        for (error, expected) in cases {
            assert_eq!(hint(&error), expected, "{error:#}");
        }
    }
}
