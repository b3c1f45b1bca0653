#!/usr/bin/env bash
# Run once by PostgreSQL's image when the database is made: the role that the nodes connect as. `shiplog migrate`
# gives it what it may do.
set -euo pipefail
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set=password="$(cat "$SHIPLOG_APP_PASSWORD_FILE")" <<'SQL'
CREATE ROLE shiplog_app LOGIN PASSWORD :'password';
SQL
