#!/bin/sh
# Drives the HTTP API of Durable Functions as its public description has it, with curl alone.
# It runs unchanged against any host of that API which has these functions:
#
#   an orchestration that returns its input               name in ECHO
#   one that returns what the event `approval` brings     name in WAIT
#   one that fails                                        name in FAIL
#   an entity whose operation `add` adds its input        name in ENTITY
#
#   HOST=http://127.0.0.1:7071 HUB=default CODE=key sh durable-functions.sh
set -eu

HOST=${HOST:-http://127.0.0.1:7071}
HUB=${HUB:-default}
CODE=${CODE:-}
ECHO=${ECHO:-Echo} WAIT=${WAIT:-WaitForApproval} FAIL=${FAIL:-Fail} ENTITY=${ENTITY:-Counter}

api=$HOST/runtime/webhooks/durabletask
which="taskHub=$HUB&connection=Storage"
[ -z "$CODE" ] || which="$which&code=$CODE"
run=$(date +%s)$$
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
checks=0

# call METHOD URL [CURL-ARGUMENT..]: leaves the status code, the head and the body behind.
call() {
    method=$1 url=$2
    shift 2
    code=$(curl -sS -g -X "$method" -D "$dir/head" -o "$dir/body" -w '%{http_code}' "$@" "$url")
    body=$(cat "$dir/body")
    last="$method $url"
}

fail() {
    echo "FAILED: $last: $1" >&2
    echo "  code $code, body $body" >&2
    exit 1
}

is() { [ "$code" = "$1" ] || fail "expected $1"; checks=$((checks + 1)); }
has() { case $body in *"$1"*) ;; *) fail "expected $1 in the body" ;; esac; checks=$((checks + 1)); }
lacks() { case $body in *"$1"*) fail "expected no $1 in the body" ;; esac; checks=$((checks + 1)); }
body_is() { [ "$body" = "$1" ] || fail "expected the body $1"; checks=$((checks + 1)); }
head_has() { grep -qi "^$1" "$dir/head" || fail "expected the header $1"; checks=$((checks + 1)); }
header() { sed -n "s/^$1: *//Ip" "$dir/head" | tr -d '\r'; }
field() { printf '%s' "$body" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

json='content-type: application/json'

# until_status URL STATUS: follows the asynchronous pattern until the instance stands there.
until_status() {
    tries=0
    while call GET "$1" && [ "$(field runtimeStatus)" != "$2" ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "it never became $2"
        sleep 0.1
    done
}

# --- start, look, and follow the addresses in the answer ------------------------------------

call POST "$api/orchestrators/$WAIT?$which" -H "$json" -d '{"sku":"cup","count":2}'
is 202
head_has 'location: http'
head_has 'retry-after: 10'
head_has 'content-type: application/json; charset=utf-8'
id=$(field id)
status=$(field statusQueryGetUri) raise=$(field sendEventPostUri)
terminate=$(field terminatePostUri) purge=$(field purgeHistoryDeleteUri)
restart=$(field restartPostUri) suspend=$(field suspendPostUri) resume=$(field resumePostUri)
[ "$status" = "$(header Location)" ] || fail "Location is not the address of the status"

until_status "$status" Running
is 202
head_has 'retry-after: 5'
head_has 'location: '
has "\"instanceId\":\"$id\""
has "\"name\":\"$WAIT\""
has '"input":{"sku":"cup","count":2}'
has '"output":null'
lacks historyEvents
call GET "$status&showInput=false"
has '"input":null'

call POST "$(echo "$suspend" | sed 's/{text}/lunch/')"
is 202
until_status "$status" Suspended
is 202
call POST "$(echo "$resume" | sed 's/{text}/back/')"
is 202
until_status "$status" Running

approval=$(echo "$raise" | sed 's/{eventName}/approval/')
call POST "$approval" -H 'content-type: text/plain' -d 'yes'
is 400
has '"Message":"Only application/json request content is supported"'
call POST "$approval" -H "$json" -d '{'
is 400
call POST "$approval" -H "$json" -d '{"approved":true}'
is 202
until_status "$status" Completed
is 200
has '"output":{"approved":true}'
call POST "$approval" -H "$json" -d 'true'
is 410
call POST "$(echo "$terminate" | sed 's/{text}/late/')"
is 410

call GET "$status&showHistory=true&showHistoryOutput=true"
is 200
has '"historyEvents":[{"EventType":"ExecutionStarted"'
has "\"FunctionName\":\"$WAIT\""
has '"EventType":"ExecutionCompleted","OrchestrationStatus":"Completed","Result":{"approved":true}'
lacks OrchestratorStarted

call POST "$restart"
is 202
again=$(field id)
[ "$again" != "$id" ] || fail 'a restart takes a new id unless told otherwise'
call POST "$(field terminatePostUri | sed 's/{text}/enough/')"
is 202
until_status "$api/instances/$again?$which" Terminated
is 200
has '"output":"enough"'

call DELETE "$purge"
is 200
body_is '{"instancesDeleted":1}'
call GET "$status"
is 404

# --- start and wait -------------------------------------------------------------------------

call POST "$api/orchestrators/$ECHO?timeout=30&pollingInterval=1&$which" -H "$json" -d '[1,2]'
is 200
body_is '[1,2]'
call POST "$api/orchestrators/$WAIT/slow-$run?timeout=1&pollingInterval=1&$which"
is 202
[ "$(field id)" = "slow-$run" ] || fail 'the id is not the one asked for'
call POST "$api/orchestrators/$FAIL/bad-$run?timeout=30&pollingInterval=1&$which"
is 200
has '"runtimeStatus":"Failed"'
call GET "$api/instances/bad-$run?returnInternalServerErrorOnFailure=true&$which"
is 500
has '"runtimeStatus":"Failed"'
call POST "$api/orchestrators/$ECHO?$which" -H "$json" -d '{"a":'
is 400
has '"Message":"Invalid JSON content"'

# --- lists ----------------------------------------------------------------------------------

sleep 1.1
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
call POST "$api/orchestrators/$ECHO/list-$run-1?timeout=30&pollingInterval=1&$which" -d '1'
call POST "$api/orchestrators/$ECHO/list-$run-2?timeout=30&pollingInterval=1&$which" -d '2'
list="$api/instances?instanceIdPrefix=list-$run&createdTimeFrom=$since&$which"
call GET "$list&runtimeStatus=Completed,Failed"
is 200
has "\"instanceId\":\"list-$run-1\""
has "\"instanceId\":\"list-$run-2\""
call GET "$list&runtimeStatus=Running"
body_is '[]'
call GET "$list&top=1"
is 200
token=$(header x-ms-continuation-token)
[ -n "$token" ] || fail 'a page that is not the last has a continuation token'
call GET "$list&top=1" -H "x-ms-continuation-token: $token"
is 200
has "list-$run-2"
lacks "list-$run-1"

# --- purge many -----------------------------------------------------------------------------

call DELETE "$api/instances?runtimeStatus=Completed&$which"
is 400
some="$api/instances?createdTimeFrom=$since&runtimeStatus=Completed,Terminated&$which"
call DELETE "$some"
is 200
body_is '{"instancesDeleted":2}'
call DELETE "$some"
is 404

# --- what is not there ----------------------------------------------------------------------

call GET "$api/instances/nobody-$run?$which"
is 404
call POST "$api/instances/nobody-$run/raiseEvent/x?$which" -H "$json" -d '1'
is 404
call POST "$api/instances/nobody-$run/terminate?$which"
is 404
call DELETE "$api/instances/nobody-$run?$which"
is 404
call POST "$api/instances/nobody-$run/restart?$which"
is 400

# --- entities -------------------------------------------------------------------------------

entity="$api/entities/$ENTITY/k$run"
call GET "$entity?$which"
is 404
call POST "$entity?op=add&$which" -H "$json" -d '5'
is 202
call POST "$entity?op=add&$which" -H "$json" -d '2'
is 202
tries=0
while call GET "$entity?$which" && [ "$body" != 7 ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail 'the entity never had both'
    sleep 0.1
done
is 200
call GET "$api/entities/$ENTITY?fetchState=true&$which"
is 200
has "\"key\":\"k$run\"}"
has '"lastOperationTime":"'
call DELETE "$entity?$which"
is 202

echo "$checks checks passed"
