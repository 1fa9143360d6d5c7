//! One connection: what is set on it, which statements are prepared, how long an answer may take.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::mpsc::Sender,
    time::Duration,
};

use tokio::{task::AbortHandle, time::timeout};
use tokio_postgres::{
    Client, Row, Statement,
    types::{ToSql, Type},
};

use crate::{address::Address, error::Trouble, row::get};

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Says what each connection needs, as far as the server knows the word:
///
/// - a commit that was acknowledged survives, whatever the database's default is;
/// - other defaults of the isolation would only make commits fail that need not;
/// - how long an answer may take is decided here, and a connection that is idle will be needed;
/// - each statement finds its rows by an index. A planner that never saw statistics of a young
///   table would rather read all of it.
const SETTINGS: &str = "\
    SELECT set_config(s.name, wish.value, false) \
    FROM (VALUES \
        ('synchronous_commit', 'on'), \
        ('default_transaction_isolation', 'read committed'), \
        ('idle_in_transaction_session_timeout', '10s'), \
        ('statement_timeout', '0'), \
        ('transaction_timeout', '0'), \
        ('lock_timeout', '0'), \
        ('idle_session_timeout', '0'), \
        ('plan_cache_mode', 'force_generic_plan'), \
        ('enable_seqscan', 'off'), \
        ('enable_hashjoin', 'off'), \
        ('enable_mergejoin', 'off'), \
        ('jit', 'off') \
    ) AS wish (name, value) \
    JOIN pg_settings AS s ON s.name = wish.name \
    WHERE s.name <> 'synchronous_commit' OR s.setting = 'off'";

/// After how many uses a statement is planned anew: the first time, and at most. The server would
/// keep the plan that it made for a young table while that grows: what is good for ten rows may
/// read all of a million.
const USES_COUNT: u32 = 16;
const USES_COUNT_MAX: u32 = 1_024;

/// A connection.
pub(crate) struct Link {
    client: Client,
    statements: HashMap<&'static str, Planned>,
    task: AbortHandle,
    patience: Duration,
}

/// A statement, planned for the tables as they were.
struct Planned {
    statement: Statement,
    uses: u32,
    /// With how many of them it is planned anew.
    uses_max: u32,
}

impl Link {
    /// Connects; answers may take as long as `patience`. Notices go to `ear`.
    pub(crate) async fn open(
        address: &Address,
        patience: Duration,
        ear: Option<Sender<String>>,
    ) -> Result<Self, Trouble> {
        let connecting = timeout(patience, address.connect(ear));
        let (client, task) = connecting.await.unwrap_or_else(|_| Err(silent(patience)))?;
        let mut link = Self { client, statements: HashMap::new(), task, patience };
        let settled = link.once(SETTINGS, &[]).await;
        settled.map_err(|trouble| match trouble {
            Trouble::Lost(why) => Trouble::Unreachable(why),
            other => other,
        })?;
        Ok(link)
    }

    /// Runs a statement that is prepared the first time, and again when its plan may be old.
    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        let work = async {
            let planned = match self.statements.entry(sql) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let statement = self.client.prepare(sql).await?;
                    new.insert(Planned { statement, uses: 0, uses_max: USES_COUNT })
                }
            };
            if planned.uses == planned.uses_max {
                let uses_max = (planned.uses_max * 2).min(USES_COUNT_MAX);
                let statement = self.client.prepare(sql).await?;
                *planned = Planned { statement, uses: 0, uses_max };
            }
            planned.uses += 1;
            self.client.query(&planned.statement, params).await
        };
        let answer = timeout(self.patience, work).await.map_err(|_| silent(self.patience))?;
        if answer.is_err() {
            // What failed may be the plan: the server has forgotten it, or the tables are others.
            self.statements.remove(sql);
        }
        Ok(answer?)
    }

    /// Runs a statement that is not asked again soon.
    pub(crate) async fn once(
        &mut self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Trouble> {
        let work = self.client.query_typed(sql, params);
        Ok(timeout(self.patience, work).await.map_err(|_| silent(self.patience))??)
    }

    /// Runs statements without parameters, one after another, for as long as it takes: an index
    /// over all instances takes its time, and so does waiting for the node that builds it.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), Trouble> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// The process of the server that answers here.
    pub(crate) async fn process(&mut self) -> Result<i32, Trouble> {
        let rows = self.once("SELECT pg_backend_pid()", &[]).await?;
        rows.first().map_or(Ok(0), |row| get(row, 0))
    }

    /// Whether it is known to be dead.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Without this a connection whose answer never comes would be kept open for ever.
        self.task.abort();
    }
}

fn silent(patience: Duration) -> Trouble {
    Trouble::Lost(format!("no answer within {patience:?}"))
}
