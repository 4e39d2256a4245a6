//! What a secret by which devices join says of them: the options that enrolment tokens and claims have in common.

/// Of devices that are to come.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Newcomers {
    /// What it is for
    #[arg(long)]
    pub label: String,
    /// Device ids it may enrol, for example gw-* or "gw-1 gw-2"; any unless given
    #[arg(long, default_value = "")]
    pub pattern: String,
    /// Type given to its devices
    #[arg(long, alias = "type", value_name = "TYPE", default_value = "")]
    pub device_type: String,
    /// A tag given to its devices; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// A group that its devices are put into, by its name or id; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
}
