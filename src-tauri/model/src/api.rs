//! The console API, declared once: path, method, role, request and response of every endpoint.
//!
//! The gateway routes by these declarations and the UI calls by them. Errors are a [`crate::Problem`] in JSON.

use crate::{
    AlarmId, ApiTokenId, AppId, ClientCertificateId, DeploymentId, GroupId, JobId, JoinTokenId, NodeId, PlacementId,
    ProjectId, Time, UserId, VersionId,
    access_key::AccessKey,
    alarm::{Alarm, Thresholds},
    app::{App, Spec, Version},
    audit::AuditEntry,
    certificate::{Authority, CaStep, ClientCertificate, LabAuthority, Purpose},
    deployment::{Deployment, NewDeployment, Placement, PlanNode, PlanRequest, Wanted},
    event::Event,
    feed::{Feed, WatchQuery},
    fit::Limits,
    group::Group,
    image::{LabImages, Registry},
    job::{Job, JobItem},
    join::{JoinToken, JoinTokenKind, NewJoinToken},
    metering::{UsageQuery, UsageReport},
    node::{Line, Node, NodeRow, NodeState},
    project::Project,
    software::{Software, Source},
    telemetry::{Series, SeriesQuery},
    user::{ApiToken, Me, Role, User},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// One operation of the console API.
pub trait Endpoint: 'static {
    const NAME: &'static str;
    const METHOD: Method;
    /// With `{…}` for each path argument.
    const PATH: &'static str;
    /// The least role that may call it; `None`: anybody, signed in or not.
    const ROLE: Option<Role>;
    type Args: PathArgs;
    /// Sent as the query of the URL.
    type Query: Serialize + DeserializeOwned + Send + Default;
    /// Sent as the JSON body.
    type Body: Serialize + DeserializeOwned + Send;
    type Reply: Serialize + DeserializeOwned + Send;
}

/// What fills the `{…}` of a path.
pub trait PathArgs: Serialize + DeserializeOwned + Send {
    fn fill(&self, path: &str) -> String;
}

impl PathArgs for () {
    fn fill(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// One argument in a path; ids only, so nothing needs escaping.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ById<T> {
    pub id: T,
}

impl<T: fmt::Display + Serialize + DeserializeOwned + Send> PathArgs for ById<T> {
    fn fill(&self, path: &str) -> String {
        path.replacen("{id}", &self.id.to_string(), 1)
    }
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $name:ident: $method:ident $path:literal, $role:expr, $args:ty, $query:ty, $body:ty => $reply:ty;)*) => {
        $($(#[$doc])*
        pub struct $name;
        impl Endpoint for $name {
            const NAME: &'static str = stringify!($name);
            const METHOD: Method = Method::$method;
            const PATH: &'static str = $path;
            const ROLE: Option<Role> = $role;
            type Args = $args;
            type Query = $query;
            type Body = $body;
            type Reply = $reply;
        })*
        /// Name, method, path and role of every endpoint, for tests of authorisation.
        pub const ALL: &[(&str, Method, &str, Option<Role>)] =
            &[$((stringify!($name), Method::$method, $path, $role)),*];
    };
}

const VIEWER: Option<Role> = Some(Role::Viewer);
const OPERATOR: Option<Role> = Some(Role::Operator);
const ADMIN: Option<Role> = Some(Role::Admin);

endpoints! {
    /// Signs in with name and password; sets the session cookie.
    SignIn: Post "/api/session", None, (), (), SignInBody => Me;
    /// Ends the session.
    SignOut: Delete "/api/session", VIEWER, (), (), () => ();
    GetMe: Get "/api/session", VIEWER, (), (), () => Me;
    ChangePassword: Put "/api/session/password", VIEWER, (), (), ChangePasswordBody => ();

    /// The change feed, as a long-poll.
    Watch: Get "/api/watch", VIEWER, (), WatchQuery, () => Feed;
    /// Counts and health of the engine itself.
    GetStatus: Get "/api/status", VIEWER, (), (), () => Status;

    ListNodes: Get "/api/nodes", VIEWER, (), NodeQuery, () => Page<NodeRow>;
    GetNode: Get "/api/nodes/{id}", VIEWER, ById<NodeId>, (), () => Node;
    /// Puts a waiting node to work.
    ManageNode: Post "/api/nodes/{id}/manage", OPERATOR, ById<NodeId>, (), ManageBody => Node;
    UpdateNode: Put "/api/nodes/{id}", OPERATOR, ById<NodeId>, (), UpdateNodeBody => Node;
    /// Takes a node out of the lab: its certificate is refused from now on.
    RemoveNode: Delete "/api/nodes/{id}", OPERATOR, ById<NodeId>, (), () => ();
    GetSeries: Get "/api/series", VIEWER, (), OneSeries, () => Vec<Series>;
    /// What containers used in a period.
    GetUsage: Get "/api/usage", VIEWER, (), UsageQuery, () => UsageReport;

    ListJoinTokens: Get "/api/join-tokens", OPERATOR, (), (), () => Vec<JoinToken>;
    CreateJoinToken: Post "/api/join-tokens", OPERATOR, (), (), NewJoinTokenBody => NewJoinToken;
    RevokeJoinToken: Delete "/api/join-tokens/{id}", OPERATOR, ById<JoinTokenId>, (), () => ();
    /// Joins the engine's own machine as a node.
    JoinHere: Post "/api/join-here", ADMIN, (), (), () => ();

    ListGroups: Get "/api/groups", VIEWER, (), PageQuery, () => Page<Group>;
    GetGroup: Get "/api/groups/{id}", VIEWER, ById<GroupId>, (), () => Group;
    CreateGroup: Post "/api/groups", OPERATOR, (), (), GroupBody => Group;
    UpdateGroup: Put "/api/groups/{id}", OPERATOR, ById<GroupId>, (), UpdateGroupBody => Group;
    DeleteGroup: Delete "/api/groups/{id}", OPERATOR, ById<GroupId>, (), () => ();
    AddToGroup: Post "/api/groups/{id}/add", OPERATOR, ById<GroupId>, (), NodesBody => ();
    RemoveFromGroup: Post "/api/groups/{id}/remove", OPERATOR, ById<GroupId>, (), NodesBody => ();

    ListApps: Get "/api/apps", VIEWER, (), PageQuery, () => Page<App>;
    GetApp: Get "/api/apps/{id}", VIEWER, ById<AppId>, (), () => AppDetail;
    CreateApp: Post "/api/apps", OPERATOR, (), (), NewAppBody => AppDetail;
    /// Adds a version; the app's newest from now on.
    AddVersion: Post "/api/apps/{id}/versions", OPERATOR, ById<AppId>, (), NewVersionBody => Version;
    DeleteApp: Delete "/api/apps/{id}", OPERATOR, ById<AppId>, (), () => ();

    ListDeployments: Get "/api/deployments", VIEWER, (), PageQuery, () => Page<Deployment>;
    GetDeployment: Get "/api/deployments/{id}", VIEWER, ById<DeploymentId>, (), () => DeploymentDetail;
    /// Judges, without making anything, which nodes of a target a spec fits.
    PlanDeployment: Post "/api/deployments/plan", VIEWER, (), (), PlanRequest => Vec<PlanNode>;
    CreateDeployment: Post "/api/deployments", OPERATOR, (), (), NewDeployment => Deployment;
    /// Moves a deployment to another version, or stops or starts it.
    UpdateDeployment: Put "/api/deployments/{id}", OPERATOR, ById<DeploymentId>, (), UpdateDeploymentBody => Deployment;
    /// Undeploys: every trace on the nodes goes.
    DeleteDeployment: Delete "/api/deployments/{id}", OPERATOR, ById<DeploymentId>, (), () => ();
    /// Lines of one part of an instance; waits for new ones.
    GetLogs: Get "/api/placements/{id}/logs", VIEWER, ById<PlacementId>, LogQuery, () => LogPage;

    ListAlarms: Get "/api/alarms", VIEWER, (), AlarmQuery, () => Page<Alarm>;
    AcknowledgeAlarm: Post "/api/alarms/{id}/acknowledge", OPERATOR, ById<AlarmId>, (), () => Alarm;
    ListEvents: Get "/api/events", VIEWER, (), EventQuery, () => Page<Event>;
    ListAudit: Get "/api/audit", ADMIN, (), PageQuery, () => Page<AuditEntry>;

    ListJobs: Get "/api/jobs", VIEWER, (), PageQuery, () => Page<Job>;
    GetJob: Get "/api/jobs/{id}", VIEWER, ById<JobId>, (), () => Job;
    /// What a job does with each of its nodes.
    ListJobItems: Get "/api/jobs/{id}/items", VIEWER, ById<JobId>, PageQuery, () => Page<JobItem>;
    /// Packages of the agent that the lab keeps, the highest version first.
    ListSoftware: Get "/api/software", VIEWER, (), (), () => Vec<Software>;
    /// Removes a package, by its hash.
    DeleteSoftware: Delete "/api/software/{id}", ADMIN, ById<String>, (), () => ();
    /// Lets nodes download a version of the agent, or makes them run it.
    ChangeSoftware: Post "/api/jobs/software", OPERATOR, (), (), SoftwareBody => Job;
    /// Collects the logs of nodes into an archive; the archives of earlier collections go.
    CollectLogs: Post "/api/jobs/logs", OPERATOR, (), (), NodesBody => Job;
    StopJob: Post "/api/jobs/{id}/stop", OPERATOR, ById<JobId>, (), () => Job;

    ListUsers: Get "/api/users", ADMIN, (), (), () => Vec<User>;
    CreateUser: Post "/api/users", ADMIN, (), (), NewUserBody => User;
    DeleteUser: Delete "/api/users/{id}", ADMIN, ById<UserId>, (), () => ();
    ListApiTokens: Get "/api/tokens", ADMIN, (), (), () => Vec<ApiToken>;
    CreateApiToken: Post "/api/tokens", ADMIN, (), (), NewApiTokenBody => NewApiToken;
    DeleteApiToken: Delete "/api/tokens/{id}", ADMIN, ById<ApiTokenId>, (), () => ();
    /// The tenants of the cloud dialects.
    ListProjects: Get "/api/projects", ADMIN, (), (), () => Vec<Project>;
    CreateProject: Post "/api/projects", ADMIN, (), (), ProjectBody => Project;
    UpdateProject: Put "/api/projects/{id}", ADMIN, ById<ProjectId>, (), ProjectBody => Project;
    /// Deletes a project that has no access keys; its tokens end.
    DeleteProject: Delete "/api/projects/{id}", ADMIN, ById<ProjectId>, (), () => ();
    ListAccessKeys: Get "/api/access-keys", ADMIN, (), (), () => Vec<AccessKey>;
    CreateAccessKey: Post "/api/access-keys", ADMIN, (), (), NewAccessKeyBody => NewAccessKey;
    /// Refuses what is signed with it from now on; by the key itself.
    RevokeAccessKey: Delete "/api/access-keys/{id}", ADMIN, ById<String>, (), () => ();

    ListClientCertificates: Get "/api/client-certificates", ADMIN, (), (), () => Vec<ClientCertificate>;
    /// A client certificate for the MEF dialect, made by the lab's CA.
    CreateClientCertificate: Post "/api/client-certificates", ADMIN, (), (), NewClientCertificateBody => NewClientCertificate;
    /// Refuses a client certificate from now on, on open connections too.
    RevokeClientCertificate: Delete "/api/client-certificates/{id}", ADMIN, ById<ClientCertificateId>, (), () => ();
    /// The lab's own CA, and how far a change to another has come.
    GetLabAuthority: Get "/api/lab-authority", ADMIN, (), (), () => LabAuthority;
    /// Takes the next step of such a change.
    ChangeLabAuthority: Post "/api/lab-authority", ADMIN, (), (), CaStepBody => LabAuthority;
    ListAuthorities: Get "/api/authorities", ADMIN, (), (), () => Vec<Authority>;
    /// Trusts an outside authority for a purpose; the one before is kept.
    ImportAuthority: Put "/api/authorities/{id}", ADMIN, ById<Purpose>, (), PemBody => Authority;
    DeleteAuthority: Delete "/api/authorities/{id}", ADMIN, ById<Purpose>, (), () => ();
    /// Puts the authority before back.
    RestoreAuthority: Post "/api/authorities/{id}/restore", ADMIN, ById<Purpose>, (), () => Authority;
    /// Takes what the authority has revoked; in force at once.
    ImportRevocations: Put "/api/authorities/{id}/revocations", ADMIN, ById<Purpose>, (), PemBody => Authority;
    /// The registry outside the lab that nodes pull images from.
    GetRegistry: Get "/api/registry", VIEWER, (), (), () => Option<Registry>;
    SetRegistry: Put "/api/registry", ADMIN, (), (), RegistryBody => Registry;
    DeleteRegistry: Delete "/api/registry", ADMIN, (), (), () => ();
    /// What the lab's own registry holds.
    ListImages: Get "/api/images", VIEWER, (), (), () => LabImages;
    /// Takes an image's name away; what nobody names any more goes from the disk.
    DeleteImage: Delete "/api/images", OPERATOR, (), ImageQuery, () => ();
    GetSettings: Get "/api/settings", VIEWER, (), (), () => Settings;
    UpdateSettings: Put "/api/settings", ADMIN, (), (), Settings => Settings;
    /// Writes a backup of database, packages and key into the data folder.
    CreateBackup: Post "/api/backups", ADMIN, (), (), NewBackupBody => Backup;
}

/// Upload of a process package, `PUT` with the bytes as body (`application/gzip`); answers [`Package`]. Operators.
pub const PACKAGES_PATH: &str = "/api/packages";
/// Packages of the agent: `PUT` with a package as body answers [`Software`], administrators; `GET {path}/{hash}/file`
/// answers the signed package, operators.
pub const SOFTWARE_PATH: &str = "/api/software";
/// Archives of images, as `docker save` writes them: `PUT` with the archive as body answers the names that they have
/// here, a list of `repository:tag`. Operators.
pub const IMAGES_PATH: &str = "/api/images";
/// A report, `GET` with [`ReportQuery`]; answers the file itself. Viewers.
pub const REPORT_PATH: &str = "/api/report";
/// What a job has made, `GET {path}/{id}/file`; answers the file itself. Operators.
pub const JOBS_PATH: &str = "/api/jobs";
/// Must be sent, with the value of [`Me::csrf`], by browsers with every change.
pub const CSRF_HEADER: &str = "x-edgedeck-csrf";
/// Largest JSON body, in bytes.
pub const BODY_MAX: usize = 4 * 1024 * 1024;
/// A file that the console sends whole, with `PUT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    pub path: &'static str,
    /// Largest, in bytes.
    pub max: u64,
    /// Ends of names, as a page's file field has them.
    pub accept: &'static str,
}

pub const PACKAGE_UPLOAD: Uploaded = Uploaded {
    path: PACKAGES_PATH,
    max: PACKAGE_MAX,
    accept: ".gz,.tgz",
};
pub const SOFTWARE_UPLOAD: Uploaded = Uploaded {
    path: SOFTWARE_PATH,
    max: crate::software::PACKAGE_BYTES_MAX,
    accept: ".gz,.tgz",
};
pub const IMAGES_UPLOAD: Uploaded = Uploaded {
    path: IMAGES_PATH,
    max: crate::image::ARCHIVE_BYTES_MAX,
    accept: ".tar,.gz,.tgz",
};
pub const UPLOADS: [Uploaded; 3] = [PACKAGE_UPLOAD, SOFTWARE_UPLOAD, IMAGES_UPLOAD];
/// Largest process package, in bytes.
pub const PACKAGE_MAX: u64 = 512 * 1024 * 1024;
/// Longest list page.
pub const PAGE_MAX: u32 = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInBody {
    pub name: String,
    pub password: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangePasswordBody {
    pub old: String,
    pub new: String,
}

/// A page of a list, and how many there are in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageQuery {
    pub offset: u32,
    /// 1 to [`PAGE_MAX`].
    pub limit: u32,
    /// Part of a name, in any case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
            filter: String::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeQuery {
    pub offset: u32,
    pub limit: u32,
    /// Part of name, serial number or address, in any case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<NodeState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    pub sort: NodeSort,
    pub descending: bool,
}

impl Default for NodeQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
            filter: String::new(),
            managed: None,
            state: None,
            group: None,
            sort: NodeSort::Name,
            descending: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeSort {
    #[default]
    Name,
    Serial,
    State,
    Joined,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmQuery {
    pub offset: u32,
    pub limit: u32,
    /// Also those that are cleared.
    pub cleared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

impl Default for AlarmQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
            cleared: false,
            node: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventQuery {
    pub offset: u32,
    pub limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
            node: None,
        }
    }
}

/// [`SeriesQuery`] as a query; the metric has no default, so a missing one is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OneSeries {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    pub metric: Option<crate::telemetry::Metric>,
    pub from: Time,
    pub to: Time,
}

impl OneSeries {
    /// # Errors
    /// [`crate::Code::Invalid`] when the metric is missing or the time runs backwards.
    pub fn query(self) -> Result<SeriesQuery, crate::Problem> {
        let metric = self
            .metric
            .ok_or_else(|| crate::Problem::invalid("metric", "required"))?;
        if self.to <= self.from {
            return Err(crate::Problem::invalid("to", "time-order"));
        }
        Ok(SeriesQuery {
            node: self.node,
            metric,
            from: self.from,
            to: self.to,
        })
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ManageBody {
    /// The present name where absent.
    pub name: Option<String>,
    pub description: Option<String>,
    pub groups: Vec<GroupId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateNodeBody {
    pub name: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    /// The present one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// The `rev` that was read; a change in between is refused.
    pub rev: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewJoinTokenBody {
    pub kind: JoinTokenKind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupBody {
    pub name: String,
    #[serde(default)]
    pub description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateGroupBody {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// As it was read; another one means that somebody else changed it since.
    pub rev: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodesBody {
    pub nodes: Vec<NodeId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewAppBody {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default = "first")]
    pub label: String,
    pub spec: Spec,
}

fn first() -> String {
    "1".to_owned()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewVersionBody {
    pub label: String,
    pub spec: Spec,
}

/// An app with all its versions, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppDetail {
    pub app: App,
    pub versions: Vec<Version>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentDetail {
    pub deployment: Deployment,
    pub placements: Vec<Placement>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateDeploymentBody {
    pub version: Option<VersionId>,
    /// Running or stopped.
    pub wanted: Option<Wanted>,
    /// What runs is replaced by the same.
    #[serde(default)]
    pub restart: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    pub part: String,
    /// The `next` of the last answer; 0 for the last `lines` lines.
    pub after: u64,
    /// At most 2,000.
    pub lines: u32,
    /// Milliseconds to wait for a new line, at most 20,000.
    pub wait: u32,
}

impl Default for LogQuery {
    fn default() -> Self {
        Self {
            part: String::new(),
            after: 0,
            lines: 200,
            wait: 0,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    pub lines: Vec<LogLine>,
    /// Where to go on.
    pub next: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Time,
    /// Written to standard error.
    pub error: bool,
    pub text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewUserBody {
    pub name: String,
    pub password: String,
    pub role: Role,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewApiTokenBody {
    pub name: String,
    pub role: Role,
    /// Days until it ends; never where absent.
    #[serde(default)]
    pub days: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewApiToken {
    pub token: ApiToken,
    /// Shown once.
    pub secret: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProjectBody {
    pub name: String,
    #[serde(default)]
    pub description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewAccessKeyBody {
    pub user: UserId,
    pub project: ProjectId,
    #[serde(default)]
    pub description: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct NewAccessKey {
    pub key: AccessKey,
    /// Shown once.
    pub secret: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewClientCertificateBody {
    pub name: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct RegistryBody {
    /// `host:port`.
    pub address: String,
    pub account: String,
    /// The present one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SoftwareBody {
    pub nodes: Vec<NodeId>,
    pub source: Source,
    /// Run it as soon as it is there.
    pub run: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImageQuery {
    pub repository: String,
    pub tag: String,
}

/// Certificates or revocation lists, as PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PemBody {
    pub pem: String,
}

/// A client certificate with its key, shown once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewClientCertificate {
    pub certificate_pem: String,
    pub key_pem: String,
    pub ca_pem: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// As they were read; with another one a change is refused.
    pub rev: u64,
    pub lab: String,
    /// IANA name, as `Asia/Shanghai`.
    pub time_zone: String,
    pub limits: Limits,
    pub thresholds: Thresholds,
    pub software: crate::software::Rules,
    pub mef: MefLimits,
    /// Addresses that boxes and browsers reach the engine at, likeliest first; the machine's own where empty.
    pub addresses: Vec<String>,
}

/// What MEF Center's API lets its clients have; the numbers are those of MEF's own gateway unless changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MefLimits {
    /// Calls a second of one address in the long run; 0 for any number.
    pub calls_per_second: u32,
    /// Calls of one address above that at once.
    pub burst: u32,
    /// Calls of one address under way at once.
    pub at_once: u32,
    /// Largest body, in KiB.
    pub body_kib: u32,
    /// Whether MEF's own most nodes, groups, applications and deployments hold, or only what the lab itself bears.
    pub caps: bool,
}

impl Default for MefLimits {
    fn default() -> Self {
        Self {
            calls_per_second: 10,
            burst: 5,
            at_once: 5,
            body_kib: 1_024,
            caps: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rev: 0,
            lab: "EdgeDeck".to_owned(),
            time_zone: "UTC".to_owned(),
            limits: Limits::default(),
            thresholds: Thresholds::default(),
            software: crate::software::Rules::default(),
            mef: MefLimits::default(),
            addresses: Vec::new(),
        }
    }
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackupBody {
    /// Seals the lab's key in the backup; whoever restores it needs it. As long as a password.
    pub passphrase: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    pub path: String,
    pub bytes: u64,
    pub at: Time,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// SHA-256 in hex.
    pub hash: String,
    pub bytes: u64,
    /// Files that can be named as the program.
    pub programs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaStepBody {
    pub step: CaStep,
    /// Even if nodes or clients lose their way in by it.
    #[serde(default)]
    pub force: bool,
}

/// Health of the engine itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub version: String,
    pub started_at: Time,
    pub connected: u32,
    pub nodes: u32,
    pub database_bytes: u64,
    pub wal_bytes: u64,
    /// Writes since the start, and the commits that carried them.
    pub writes: u64,
    pub commits: u64,
    pub data: String,
    /// Name of the listener and its address, as `console` and `0.0.0.0:8443`.
    pub listeners: BTreeMap<String, String>,
    /// The engine's own machine is no node yet, and there is an agent program for it.
    pub can_join_here: bool,
    /// SHA-256 of the lab's CA certificate, in hex.
    pub ca_hash: String,
    pub ca_ends: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    Inventory,
    Health,
    #[default]
    InventoryAndHealth,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportFormat {
    #[default]
    Pdf,
    Xlsx,
    Csv,
    Html,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuery {
    #[serde(default)]
    pub kind: ReportKind,
    #[serde(default)]
    pub format: ReportFormat,
    pub lang: crate::Lang,
    pub from: Time,
    pub to: Time,
}
