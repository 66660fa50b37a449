//! The calls of one member.

use std::error::Error as _;
use std::time::Duration;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{
    AlarmRequest, AlarmResponse, CompactionRequest, EmptyRequest, HashKvRequest, HashKvResponse,
    HeaderResponse, MemberAddRequest, MemberAddResponse, MemberIdRequest, MemberListRequest,
    MembersResponse, MoveLeaderRequest, PutRequest, RangeRequest, RangeResponse, SnapshotResponse,
    StatusResponse,
};
use crate::etcd::Error;

/// Defragmenting a database of some gigabytes holds a member up for a while.
const DEFRAGMENT: Duration = Duration::from_secs(180);

/// Speaks to one member of an etcd cluster.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    channel: Channel,
    patience: Duration,
}

impl Client {
    pub(super) fn new(url: String, channel: Channel, patience: Duration) -> Self {
        Self { url, channel, patience }
    }

    /// Where the member is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How the member sees itself. Answered without the other members.
    ///
    /// # Errors
    /// As every call: if the member cannot be reached, does not answer in time or refuses.
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        self.call("Maintenance/Status", EmptyRequest {}).await
    }

    /// The members; `linearizable` asks the leader (since etcd 3.5), else it is what this member knows.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn member_list(&self, linearizable: bool) -> Result<MembersResponse, Error> {
        self.call("Cluster/MemberList", MemberListRequest { linearizable }).await
    }

    /// Adds a learner, which gets all data and has no vote.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn member_add_learner(
        &self,
        peer_urls: Vec<String>,
    ) -> Result<MemberAddResponse, Error> {
        self.call("Cluster/MemberAdd", MemberAddRequest { peer_urls, is_learner: true }).await
    }

    /// Makes a learner a voting member.
    ///
    /// # Errors
    /// As [`Self::status`]; [`Error::is_not_in_sync`] while the learner has not caught up.
    pub async fn member_promote(&self, id: u64) -> Result<MembersResponse, Error> {
        self.call("Cluster/MemberPromote", MemberIdRequest { id }).await
    }

    /// Removes a member for good.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn member_remove(&self, id: u64) -> Result<MembersResponse, Error> {
        self.call("Cluster/MemberRemove", MemberIdRequest { id }).await
    }

    /// Asks for alarms, or acts on one.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, Error> {
        self.call("Maintenance/Alarm", request).await
    }

    /// Gives space that the member's database does not use back to the file system. The member answers nobody meanwhile.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn defragment(&self) -> Result<HeaderResponse, Error> {
        let patient = Self { patience: self.patience.max(DEFRAGMENT), ..self.clone() };
        patient.call("Maintenance/Defragment", EmptyRequest {}).await
    }

    /// Moves leadership to another member; only the leader does that.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn move_leader(&self, target_id: u64) -> Result<HeaderResponse, Error> {
        self.call("Maintenance/MoveLeader", MoveLeaderRequest { target_id }).await
    }

    /// A hash over keys and values up to `revision`, 0 for the latest: equal on all members.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn hash_kv(&self, revision: i64) -> Result<HashKvResponse, Error> {
        self.call("Maintenance/HashKV", HashKvRequest { revision }).await
    }

    /// Reads keys.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Error> {
        self.call("KV/Range", request).await
    }

    /// Writes a key.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<HeaderResponse, Error> {
        self.call("KV/Put", PutRequest { key: key.to_vec(), value: value.to_vec() }).await
    }

    /// Forgets what keys were before `revision`, and answers when the space is free.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn compact(&self, revision: i64) -> Result<HeaderResponse, Error> {
        self.call("KV/Compact", CompactionRequest { revision, physical: true }).await
    }

    /// Streams the member's database.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn snapshot(&self) -> Result<SnapshotStream, Error> {
        let mut grpc = Grpc::new(self.channel.clone());
        let path = PathAndQuery::from_static("/etcdserverpb.Maintenance/Snapshot");
        let opened = async {
            self.ready(&mut grpc).await?;
            let codec = ProstCodec::<EmptyRequest, SnapshotResponse>::default();
            grpc.server_streaming(Request::new(EmptyRequest {}), path, codec).await
        };
        let stream = self.in_time("Maintenance/Snapshot", opened).await?.into_inner();
        Ok(SnapshotStream { stream, client: self.clone() })
    }

    async fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Error>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        let path = PathAndQuery::from_maybe_shared(format!("/etcdserverpb.{method}"))
            .map_err(|why| Error::Url { url: method.to_owned(), why: why.to_string() })?;
        let answered = async {
            self.ready(&mut grpc).await?;
            grpc.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await
        };
        Ok(self.in_time(method, answered).await?.into_inner())
    }

    async fn ready(&self, grpc: &mut Grpc<Channel>) -> Result<(), Status> {
        grpc.ready().await.map_err(|why| Status::unavailable(chain(&why)))
    }

    async fn in_time<T>(
        &self,
        method: &'static str,
        what: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.patience, what).await {
            Ok(answer) => answer.map_err(|status| self.explain(method, &status)),
            Err(_) => Err(Error::Silent {
                url: self.url.clone(),
                method,
                seconds: self.patience.as_secs_f32(),
            }),
        }
    }

    fn explain(&self, method: &'static str, status: &Status) -> Error {
        let url = self.url.clone();
        // A status that etcd sent has a text of etcd's; one that the transport made has a source.
        if let (Code::Unavailable | Code::Unknown, Some(source)) = (status.code(), status.source())
        {
            return Error::Unreachable { url, why: chain(source) };
        }
        Error::Rejected { url, method, message: status.message().to_owned() }
    }
}

/// A member's database as it comes in.
#[derive(Debug)]
pub struct SnapshotStream {
    stream: Streaming<SnapshotResponse>,
    client: Client,
}

impl SnapshotStream {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// If the member is lost on the way, or sends nothing for as long as an answer may take.
    pub async fn next(&mut self) -> Result<Option<SnapshotResponse>, Error> {
        self.client.in_time("Maintenance/Snapshot", self.stream.message()).await
    }
}

/// An error with what caused it, in one line, without saying anything twice.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        next = cause.source();
    }
    words
}
