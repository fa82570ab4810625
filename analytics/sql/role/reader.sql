-- A role that can read what extract and doctor need, and nothing else.
-- Run it in the engine's database, as a role that may create roles and owns the two tables. Roles are of the whole server: where
-- there are several databases, run the part below "create role" in each. Then give the role a way to log in: a certificate, peer
-- authentication, or a password (\password strategy_reader in psql, which sends no clear text).

-- --jobs N takes N connections, the doctor two.
create role "strategy_reader" login nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit 5;

-- Where one of the two tables has row security, an extraction by a role that may not see every row of it is refused:
--   alter role "strategy_reader" bypassrls;
-- or, for the owner of the table: create policy reads_all on strategyexecutionlog for select to "strategy_reader" using (true);

-- A second lock behind the missing grants: a session can lift it, the grants it cannot.
alter role "strategy_reader" set default_transaction_read_only = on;

do $do$
declare
  log_schema text := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where c.oid = 'strategyexecutionlog'::regclass);
begin
  execute format('grant connect on database %I to "strategy_reader"', current_database());
  execute format('grant usage on schema %I to "strategy_reader"', log_schema);
  execute format('alter role "strategy_reader" in database %I set search_path = %I', current_database(), log_schema);
end
$do$;

-- Column by column: "apiKey_used" is a credential and is not among them. xmin shows that a row was updated.
grant select (xmin) on strategyexecutionlog to "strategy_reader";
grant select (id, created_at, updated_at, oauth_user_id, "strategyId", "strategyVersion", "strategyType", "realmId",
              "externalGameId", "externalTaskId", "externalUserId", status, "errorCode", points, "caseName", "durationMs",
              "nodesExecuted", trace, sampled, "parentStrategyId", notes)
   on strategyexecutionlog to "strategy_reader";

-- Optional: without it families and programs are unknown. Leave it out where the table is not there.
grant select (id, "realmId", name, description, type, "parentStrategyId", "astJson", version, status, "createdBy", "publishedAt",
              created_at, updated_at, "experimentTag")
   on strategydefinition to "strategy_reader";

-- Optional: without it other sessions' open transactions are hidden, and a day counts as complete by a lag alone. It shows the
-- statements that other sessions run.
grant pg_read_all_stats to "strategy_reader";

-- PostgreSQL lets everybody make temporary tables (and before version 15 tables in schema public). That is no right of this role
-- but of all of them, so taking it away is your decision: other roles may need it.
--   revoke temporary on database <name> from public;
--   revoke create on schema public from public;
