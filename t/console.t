# chat_console: what the operator's page asks for, by raw HTTP.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Events;
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to join_presence signin channel_auth is_event
                    is_fatal);
use Chat::Server qw(wait_for APP_ID APP_KEY APP_SECRET);

my $id = APP_ID;

my $t = Chat::Pusher->new(
    workers => 2,
    http    => "chat_cors *;\n",
    app     => 'max_connections 50;',
    apps    => "chat_app 3 { key odd-key; secret a-secret-of-3; }\n"
               . "chat_app off { key off; secret s; enabled off; }\n",
    more    => <<"END",
        location /console/ { chat_console; }
        location /closed/  { chat_console; deny all; }
        location /console/apps/2/ { deny all; }
        location /one/ { rewrite ^/one/(.*)\$ /console/apps/$id/\$1 last; }
        location /zipped/ {
            chat_console;
            gzip on;
            gzip_types text/css text/javascript;
        }
        location = /room   { chat_publish room said app=$id; }
END
);

my $http = $t->http;
my %may = ('X-Chat-Console' => 1, 'Content-Type' => 'application/json');


sub ask { return $http->get("/console/$_[0]", \%may) }


sub get {
    my ($path) = @_;

    my $res = ask($path);

    is($res->{status}, 200, "GET $path") or diag($res->{body});

    return from_json($res->{body});
}


sub post {
    my ($path, $body, $headers) = @_;

    return $http->request('POST', "/console/$path", $headers || \%may,
                          json_bytes($body));
}


subtest 'the page' => sub {
    my $res = $http->get('/console/');

    is($res->{status}, 200, 'is there');
    is($res->{headers}{'content-type'}, 'text/html; charset=utf-8', 'HTML');
    like($res->{body}, qr/<!DOCTYPE html>/i, 'a page');
    like($res->{headers}{'content-security-policy'},
         qr/^default-src 'none'; .*frame-ancestors 'none'$/, 'CSP');
    is($res->{headers}{'x-content-type-options'}, 'nosniff', 'no sniffing');
    is($res->{headers}{'referrer-policy'}, 'no-referrer', 'no referrer');
    is($res->{headers}{'cache-control'}, 'no-cache', 'is asked for again');
    ok(!exists $res->{headers}{'access-control-allow-origin'},
       'no other site reads it, though chat_cors is inherited');

    my $etag = $res->{headers}{etag};

    like($etag, qr/^"[0-9-]+"$/, 'ETag');
    is($http->get('/console/', { 'If-None-Match' => $etag })->{status}, 304,
       'not sent twice');
    is($http->request('HEAD', '/console/')->{status}, 200, 'HEAD');
    is($http->get('/zipped/console.css', { 'Accept-Encoding' => 'gzip' })
       ->{headers}{'content-encoding'}, 'gzip', 'gzip_types hold for it');

    $res = $http->get('/console');
    is($res->{status}, 301, 'without the slash');
    like($res->{headers}{location}, qr{/console/$}, 'leads there');

    is(ask($_)->{status}, 404, "no $_")
        for 'nothing', 'page/index.html', '..%2findex.html', 'apps/',
            'apps/1', 'apps/1/channels', "apps/$id/nothing", 'console.c';
    is($http->request('PUT', '/console/')->{status}, 405, 'PUT');
    is($http->get('/closed/')->{status}, 403, "nginx's own access control");
    is($http->get("/console/$_")->{status}, 403, "$_: not without the header")
        for 'status', 'apps', 'incidents', 'webhooks', 'nothing',
            "apps/$id/channels", "apps/$id/stream?channels=room";
    is($http->request('OPTIONS', '/console/status', {
           Origin => 'https://evil.example',
           'Access-Control-Request-Method' => 'POST',
           'Access-Control-Request-Headers' => 'x-chat-console' })->{status},
       405, 'no preflight');
};


subtest 'counters and apps' => sub {
    my $ws = $t->ws;

    is(get('status')->{connections}, 1, 'as chat_status');

    my $apps = get('apps')->{apps};

    is_deeply([ map { $_->{id} } @$apps ], [ $id, 2, 3, 'off' ],
              'all apps');

    my ($own) = grep { $_->{id} eq $id } @$apps;

    is($own->{key}, APP_KEY, 'the key');
    is($own->{max_connections}, 50, 'a limit');
    is($own->{connections}, 1, 'and how much of it is used');
    is($own->{channels_per_connection}, 1000, 'a default');
    ok($own->{stored}, 'there is a database');
    ok($own->{zone_share_bytes} > 0, 'its share of the zone');
    ok(!exists $apps->[1]{connections}, 'not counted without a limit');

    my $all = ask('apps')->{body}
              . ask('status')->{body};

    unlike($all, qr/\Q$_\E/, 'no secret')
        for APP_SECRET, 'other-secret', 'a-secret-of-3';

    $ws->disconnect;
};


subtest 'channels' => sub {
    my ($ann, $bob, $cid) = map { $t->ws } 1 .. 3;

    subscribe_to($ann, "room-$_") for 1 .. 9;
    subscribe_to($bob, "room-$_") for 3, 4;
    subscribe_to($cid, 'room-3');
    join_presence($ann, 'presence-hall', 'ann', { name => 'Ann' });
    join_presence($bob, 'presence-hall', 'bob');

    my $list = sub {
        my $got = get("apps/$id/channels?$_[0]");

        return join ' ', "$got->{total}:", map {
            "$_->{name}=$_->{subscriptions}"
            . (defined $_->{users} ? "/$_->{users}" : '')
        } @{ $got->{channels} };
    };

    is($list->('limit=4'),
       '10: room-3=3 presence-hall=2/2 room-4=2 room-1=1',
       'most subscriptions first, then by name');
    is($list->('sort=name&limit=3'),
       '10: presence-hall=2/2 room-1=1 room-2=1', 'by name');
    is($list->('sort=name&limit=2&after=room-7'),
       '10: room-8=1 room-9=1', 'the next page');
    is($list->('sort=name&after=room-9'), '10:', 'behind the last');
    is($list->('filter_by_prefix=presence-'), '1: presence-hall=2/2',
       'a prefix');
    is($list->('filter_by_prefix=none'), '0:', 'none');

    is(ask("apps/$id/channels?$_")->{status}, 400, "bad: $_")
        for 'limit=0', 'limit=501', 'limit=x', 'sort=size', 'after=room-1';
    is(ask("apps/$id/channels?" . 'a&' x 300)->{status}, 400,
       'too many parameters');

    is_deeply(get("apps/$id/channels/room-3?info=subscription_count"),
              { occupied => JSON::PP::true, subscription_count => 3 }, 'one');

    my $users = get("apps/$id/channels/presence-hall/users")->{users};

    is_deeply([ sort { $a->{id} cmp $b->{id} } @$users ],
              [ { id => 'ann', info => { name => 'Ann' } }, { id => 'bob' } ],
              'its members, with what others see of them');

    is_deeply(get('apps/3/channels'), { total => 0, channels => [] },
              'of another app');
    $_->disconnect for $ann, $bob, $cid;
};


subtest 'events' => sub {
    my $ws = $t->ws;

    subscribe_to($ws, 'private-room',
                 auth => channel_auth($ws, 'private-room'));

    my $stream = Chat::Events->open(port => $t->port, headers => \%may,
        path => "/console/apps/$id/stream?channels=private-room");
    my $event = { name => 'said', channel => 'private-room', data => 'hi' };

    is(post("apps/$id/events", $event)->{status}, 200, 'sent');
    is_event($ws->next_event, 'said', 'private-room', 'hi', 'to clients');

    my $got = $stream->event;

    is("$got->{event} $got->{data}", 'said hi', 'and to the console');

    my $res = post("apps/$id/events", $event,
                   { 'Content-Type' => 'application/json' });

    is($res->{status}, 403, 'not without the header');
    like($res->{body}, qr/X-Chat-Console/, 'which is said');
    is(post("apps/$id/events", $event, { 'Content-Type' => 'text/plain',
                                         Origin => 'https://evil.example' })
       ->{status}, 403, 'not by a form of another site');

    $res = post("apps/$id/events", { name => 'x', channel => 'no spaces',
                                     data => '' });
    is($res->{status}, 400, 'what is wrong is said');
    like($res->{body}, qr/channel/i, 'in words');
    is(post('apps/9/events', $event)->{status}, 404, 'no such app');
    is(post('nothing', $event)->{status}, 404, 'no such path');

    # nginx's access control goes by the path's beginning
    is(post('apps/2/events', $event)->{status}, 403, 'an app that is closed');
    is(post($_, $event)->{status}, 404, "by no detour: $_")
        for 'x/apps/2/events', "apps/$id/x/apps/2/events",
            'x/../x/apps%2f2/events';
    is($http->get('/one/channels/room', \%may)->{status}, 200, 'rewritten');
    is($http->get('/one/x/apps/3/channels/room', \%may)->{status}, 404,
       'not to another app');

    ok(wait_for(10, sub {
        my $apps = from_json(ask('apps')->{body})->{apps};

        return (grep { $_->{id} eq $id } @$apps)[0]{connections} == 1;
    }), 'which does not count for max_connections');

    $stream->close;

    is(ask("apps/$id/stream?channels=$_")->{status}, 400,
       "no stream of '$_'") for '', 'no+spaces';
    is(ask("apps/$id/stream?channels=%23server-to-user-ann")->{status}, 403, 'of a user');

    # an EventSource that was cut off goes on
    my $again = Chat::Events->open(port => $t->port, headers => \%may, id => $stream->id,
        path => "/console/apps/$id/stream?channels=private-room");

    post("apps/$id/events", { %$event, data => 'later' });
    is($again->event->{data}, 'later', 'goes on from an id');
    $again->close;

    # what clients may not, the operator may
    my $off = Chat::Events->open(port => $t->port, headers => \%may,
        path => '/console/apps/off/stream?channels=room');

    is(post('apps/off/events', { %$event, channel => 'room' })->{status}, 200,
       'an event of an app that is not enabled');
    is($off->event->{data}, 'hi', 'and its stream');
    $off->close;
    $ws->disconnect;
};


subtest 'history' => sub {
    my @ids = map {
        from_json($http->post('/room', { content => "m$_" })->{body})->{id}
    } 1 .. 5;
    my $contents = sub { join ' ', map { $_->{content} } @{ get($_[0]) } };

    is($contents->("apps/$id/history/room?limit=2"), 'm4 m5', 'the newest');
    is($contents->("apps/$id/history/room?limit=2&before=$ids[3]"), 'm2 m3',
       'before');
    is($contents->("apps/$id/history/room?limit=2&after=$ids[1]"), 'm3 m4',
       'after');
    is($contents->('apps/3/history/room'), '', 'of another app');
    like(ask("apps/$id/history/room?limit=2")->{headers}{link},
         qr{^</console/apps/$id/history/room\?limit=2&before=$ids[3]>},
         'Link');
    is(ask("apps/$id/history/$_")->{status}, 400, "bad: $_")
        for 'room?limit=501', 'no%20spaces';
};


subtest 'what webhooks gave up' => sub {
    my $path = $t->server->database;
    my $dead = "apps/$id/webhooks/dead";
    my $ids = sub { join ' ', map { $_->{id} } @{ get("$dead?$_[0]") } };

    is($ids->(''), '', 'nothing');

    # URLs and errors are of others
    my $sql = "INSERT INTO webhooks VALUES (1, $id, 'http://a/\"'),"
              . " (2, 3, 'http://b/');";

    $sql .= "INSERT INTO webhook_events (app, webhook, created_at, event,"
            . " tries, dead_at, error) VALUES ($id, 1, 1700000000000,"
            . " '{\"name\":$_}', 7, "
            . ($_ == 3 ? 0 : 1700000300000) . ", 'status 50$_');"
        for 1 .. 105;
    $sql .= "INSERT INTO webhook_events (app, webhook, created_at, event,"
            . " dead_at) VALUES (3, 2, 1, '{}', 2);";

    open my $shell, '|-', 'sqlite3', '-cmd', '.timeout 10000', $path or die $!;
    print $shell $sql;
    close $shell or die 'sqlite3';

    is_deeply(get("$dead?limit=1"), [ {
        id => 105, url => 'http://a/"', event => '{"name":105}', tries => 7,
        error => 'status 50105', created_at => '2023-11-14T22:13:20.000Z',
        dead_at => '2023-11-14T22:18:20.000Z' } ], 'the last one');
    is($ids->('limit=3'), '103 104 105', 'a page');
    is($ids->('before=103&limit=2'), '101 102', 'the page before');
    is($ids->('before=5&limit=9'), '1 2 4', 'without what is still sent');
    is(scalar @{ get($dead) }, 50, 'as many as 50');
    is(scalar @{ get("$dead?limit=100") }, 100, 'or 100');
    like(ask("$dead?limit=3")->{headers}{link},
         qr{^</console/$dead\?limit=3&before=103>; rel="prev"$}, 'Link');
    ok(!exists ask("$dead?before=5")->{headers}{link}, 'no Link at the end');
    is(scalar @{ get('apps/3/webhooks/dead') }, 1, 'of another app');

    is(ask("$dead?$_")->{status}, 400, "bad: $_")
        for 'limit=101', 'limit=0', 'after=1', 'before=x';
    is($http->get("/console/$dead")->{status}, 403, 'not without the header');
    is(ask('apps/9/webhooks/dead')->{status}, 404, 'no such app');
    is(ask('apps/2/webhooks/dead')->{status}, 403, 'an app that is closed');
};


subtest 'members are sent away' => sub {
    my $ws = $t->ws;

    signin($ws, { id => 'ann' });

    is(post("apps/$id/users/ann/terminate_connections", {},
            { 'Content-Type' => 'application/json' })->{status}, 403,
       'not without the header');
    is(post("apps/$id/users/ann/terminate_connections", {})->{status}, 200,
       'terminated');

    is_fatal($ws, 4009, 'their connections');
};


subtest 'what went wrong' => sub {
    is_deeply(get('incidents')->{incidents}, [], 'nothing yet');

    my ($ws) = $t->spread(1);
    my $pid = $ws->header('X-Worker');

    $t->kill_worker($pid);
    $http = $t->http;

    my $got;

    wait_for(10, sub {
        $got = from_json(ask('incidents')->{body});
        return scalar @{ $got->{incidents} };
    });

    my $one = $got->{incidents}[0];

    is($one->{kind}, 'worker_died', 'a worker');
    is($one->{count}, 1, 'once');
    like($one->{detail}, qr/^process $pid, 1 client$/, 'which one');
    isnt($one->{pid}, $pid, 'told by another');
    is($one->{first}, $one->{last}, 'at one time');
    like($got->{now}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'now');
    ok($one->{last} le $got->{now}, 'before now');
};


subtest 'nginx -t' => sub {
    for my $location ('= /console', '/console', '~ ^/console/', '@console') {
        my $server = Chat::Server->new(
            locations => "location $location { chat_console; }");
        my ($code, $out) = $server->check_conf;

        is($code, 1, $location);
        like($out, qr/"chat_console" must be in a location such as/, 'why');
    }

    my $server = Chat::Server->new(
        locations => 'location /console/ { chat_console; chat_status; }');
    my ($code, $out) = $server->check_conf;

    like($out, qr/conflicts with another content handler/, 'one of them');
};


$t->close_all;
$t->finish;

done_testing();
