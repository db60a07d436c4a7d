# Each endpoint is an ordinary content handler: what nginx itself offers for a
# location holds for ours, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Server qw(SCALE free_port slurp spew wait_for);
use Chat::WebSocket;

my $both = 'chat_history chat; chat_publish chat new_message;';
my $mirror_port = free_port();

my $server = Chat::Server->new(
    http      => <<'END',
    log_format status '$status $request_method $uri';

    map $request_method $poster {
        default '';
        POST    $binary_remote_addr;
    }

    limit_req_zone $poster zone=posts:1m rate=1r/m;
    limit_conn_zone $binary_remote_addr zone=clients:1m;
END
    locations => <<"END");
        location = /messages { $both }

        # limit_except

        location = /read-only {
            limit_except GET { deny all; }
            $both
        }

        location = /local {
            $both
            limit_except GET { allow 127.0.0.1; deny all; }
        }

        location = /status-only {
            limit_except POST { allow 127.0.0.1; deny all; }
            chat_status;
        }

        location /except/app/ {
            limit_except POST { allow 127.0.0.1; deny all; }
            chat_websocket;
        }

        # if

        location = /if {
            $both
            set \$seen no;
            if (\$arg_x) { set \$seen yes; }
            add_header X-Seen \$seen always;
        }

        location = /if-last {
            set \$who nobody;
            chat_author \$who;
            if (\$arg_x) { set \$who \$arg_x; }
            if (\$arg_forbidden) { return 403; }
            $both
        }

        location /if/app/ {
            if (\$arg_x) { set \$seen yes; }
            chat_websocket;
        }

        # ways that lead to the endpoint

        location = /rewritten { rewrite ^ /messages last; }
        location = /renamed { rewrite ^ /any-name break; $both }
        location = /tried {
            try_files /no-such-file /messages\$is_args\$args;
        }
        location = /tried-named { try_files /no-such-file \@named; }
        location = /error-named { error_page 404 = \@named; return 404; }
        location \@named { $both }

        location ~ ^/room/([a-z]+)\$ {
            chat_history  room-\$1;
            chat_publish  room-\$1 new_message;
        }

        # mirror

        location = /mirrored {
            mirror /mirror;
            client_body_buffer_size 1k;     # so that it goes to a file
            $both
        }

        location = /mirror {
            internal;
            client_body_buffer_size 64k;
            proxy_pass http://127.0.0.1:$mirror_port\$request_uri;
        }

        location /mirrored/app/ {
            mirror /mirror-head;
            chat_websocket;
        }

        location = /mirrored-head {
            mirror /mirror-head;
            mirror_request_body off;
            $both
        }

        location = /mirror-head {
            internal;
            proxy_pass http://127.0.0.1:$mirror_port\$request_uri;
            proxy_pass_request_body off;
            proxy_set_header Content-Length '';
        }

        # error_page

        location = /errors {
            client_max_body_size 1k;
            error_page 413 = /too-large;
            error_page 400 405 415 422 \@other;
            $both
        }

        location = /too-large { return 413 "my own 413"; }
        location \@other { return 200 "my own page"; }

        location = /errors-to-us {
            client_max_body_size 1k;
            error_page 413 = /messages;
            $both
        }

        # access

        location = /denied { deny all; chat_cors *; $both }
        location /denied/app/ { deny all; chat_websocket; }

        location = /basic {
            auth_basic            chat;
            auth_basic_user_file  users;
            chat_author           \$remote_user;
            $both
        }

        location = /asked {
            auth_request /ask;
            $both
        }

        location = /ask {
            internal;
            if (\$http_x_token = open) { return 204; }
            return 401;
        }

        # limits

        location = /limited { limit_req zone=posts; $both }

        location = /limited-429 {
            limit_req zone=posts;
            limit_req_status 429;
            $both
        }

        location /limited/app/ {
            limit_conn clients 2;
            chat_websocket;
        }

        # logs

        location /logged/app/ {
            access_log logs/access.log status;
            chat_websocket log=close;
        }

        location /logged-open/app/ {
            access_log logs/open.log status;
            chat_websocket log=open;
        }

        location = /logged {
            access_log logs/access.log status;
            $both
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END

spew($server->dir . '/conf/users', "ann:{PLAIN}secret of ann\n");
$server->start;

my $port = $server->port;
my $http = Chat::HTTP->new(port => $port);
my $subscriber = Chat::WebSocket->established(port => $port);

$subscriber->subscribe('chat');


sub app_path {
    my ($prefix) = @_;

    return "$prefix/app/" . Chat::Server::APP_KEY . '?protocol=7';
}


# A message that is taken, sent as an event, and in history.

sub post_ok {
    my ($path, $name, $headers, $body) = @_;

    $body ||= { content => "by $path" };

    my $res = $http->post($path, $body, $headers);

    is($res->{status}, 201, "$name: POST");
    is($subscriber->next_event->{data}, $res->{body}, "$name: event");

    return $res;
}


sub get_ok {
    my ($path, $name, $headers) = @_;

    my $res = $http->get($path . ($path =~ /\?/ ? '&' : '?') . 'limit=2',
                         $headers);

    is($res->{status}, 200, "$name: GET");
    is($res->{body}, $http->get('/messages?limit=2')->{body},
       "$name: history");

    return $res;
}


sub refused {
    my ($status, $path, $name, $headers) = @_;

    my $res = $http->post($path, { content => 'never' }, $headers);

    is($res->{status}, $status, "$name: POST is refused, $status");

    return $res;
}


post_ok('/messages', 'nothing special') for 1, 2;
get_ok('/messages', 'nothing special');


subtest 'limit_except' => sub {
    refused(403, '/read-only', 'deny all');
    get_ok('/read-only', 'deny all');

    post_ok('/local', 'allow 127.0.0.1');
    get_ok('/local', 'allow 127.0.0.1');
    is($http->request('DELETE', '/local')->{status}, 405, 'DELETE: 405');
    is($http->request('DELETE', '/read-only')->{status}, 403, 'DELETE: 403');

    is($http->get('/status-only')->{status}, 200, 'chat_status');
    is(Chat::WebSocket->new(port => $port, path => app_path('/except'))
           ->{status}, 101, 'chat_websocket');
};


subtest 'if' => sub {
    for my $path ('/if', '/if?x=1') {
        my $res = post_ok($path, $path);

        is($res->{headers}{'x-seen'}, $path =~ /x/ ? 'yes' : 'no',
           "$path: the other directives hold");
        get_ok($path, $path);
    }

    my $res = post_ok('/if-last', 'no if');
    is(from_json($res->{body})->{author}, 'nobody', 'no if');

    $res = post_ok('/if-last?x=ann', 'set in an if');
    is(from_json($res->{body})->{author}, 'ann', 'set in an if');

    refused(403, '/if-last?forbidden=1', 'return in an if');

    for my $more ('', '&x=1') {
        is(Chat::WebSocket->established(port => $port,
               path => app_path('/if') . $more)->{status}, 101,
           "chat_websocket$more");
    }
};


subtest 'ways to the endpoint' => sub {
    for my $path (qw(/rewritten /renamed /tried /tried-named /error-named)) {
        post_ok($path, $path);
        get_ok($path, $path);
    }

    # an internal redirect with a body that comes later
    my $slow = Chat::HTTP->new(port => $port);
    my $body = json_bytes({ content => 'in two parts' });

    $slow->send_raw(Chat::HTTP->format_request('POST', '/tried-named',
        { 'Content-Type' => 'application/json',
          'Content-Length' => length $body }, substr $body, 0, 9));
    get_ok('/tried-named', 'meanwhile');
    $slow->send_raw(substr $body, 9);

    my $res = $slow->read_response('POST');
    is($res->{status}, 201, 'a body in two parts');
    is($subscriber->next_event->{data}, $res->{body}, 'and its event');

    $res = $http->post('/room/blue', { content => 'sky' });
    is($res->{status}, 201, "a channel of the location's captures");
    is($http->get('/room/blue')->{body}, "[$res->{body}]", 'its history');
    is($http->get('/room/red')->{body}, '[]', 'another one has none');
    ok($subscriber->nothing_waits, 'and the event is for its channel');
};


# What the mirror's upstream is sent for one request.

sub mirrored {
    my ($listener) = @_;

    my $text = '';
    my $s;

    local $SIG{ALRM} = sub { die "the mirror is not asked: $text" };
    alarm 10 * SCALE;

    $s = $listener->accept;

    while ($text !~ /\r\n\r\n/) {
        sysread $s, $text, 65536, length $text or last;
    }

    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($length) = $head =~ /^Content-Length: (\d+)/mi;

    while (length $body < ($length || 0)) {
        sysread $s, $body, 65536, length $body or last;
    }

    alarm 0;

    syswrite $s, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    close $s;

    return ($head, $body);
}


subtest 'mirror' => sub {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                         LocalPort => $mirror_port,
                                         ReuseAddr => 1, Listen => 8)
        or die "listen: $!";
    my $padding = 'z' x 20_000;     # not read in one piece
    my %body = (
        'a short body' => json_bytes({ content => 'short' }),
        'a long one'   => json_bytes({ content => 'm' x 9_000 }),
        'more than 16k' => json_bytes({ content => 'more', x => $padding }),
    );

    for my $name (sort keys %body) {
        my $client = Chat::HTTP->new(port => $port);

        $client->send_raw(Chat::HTTP->format_request('POST', '/mirrored',
            { 'Content-Type' => 'application/json' }, $body{$name}));

        my ($head, $got) = mirrored($listener);

        like($head, qr{^POST /mirrored }, "$name: the mirror gets it");
        ok($got eq $body{$name}, "$name: the whole body")
            or diag(length $got, ' bytes of ', length $body{$name});

        my $res = $client->read_response('POST');

        is($res->{status}, 201, "$name: 201");
        is($subscriber->next_event->{data}, $res->{body}, "$name: event");
    }

    my $client = Chat::HTTP->new(port => $port);

    $client->send_raw(Chat::HTTP->format_request('POST', '/mirrored',
        { 'Content-Type' => 'application/json',
          'Transfer-Encoding' => 'chunked' },
        join '', map({ sprintf "%x\r\n%s\r\n", length, $_ }
                     '{"content":', '"in chunks"', '}'), "0\r\n\r\n"));

    my (undef, $got) = mirrored($listener);

    is($got, '{"content":"in chunks"}', 'a chunked body: the mirror has it');

    my $res = $client->read_response('POST');

    is($res->{status}, 201, 'a chunked body: 201');
    is($subscriber->next_event->{data}, $res->{body}, 'and event');

    $client->send_raw(Chat::HTTP->format_request('POST', '/mirrored-head',
        { 'Content-Type' => 'application/json' }, $body{'a long one'}));

    my ($head) = mirrored($listener);

    like($head, qr{^POST /mirrored-head }, 'no body for the mirror');
    $res = $client->read_response('POST');
    is($res->{status}, 201, 'but a message');
    is($subscriber->next_event->{data}, $res->{body}, 'and event');

    $client->send_raw("GET /mirrored?limit=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    mirrored($listener);
    is($client->read_response->{body}, "[$res->{body}]", 'GET');

    # nginx gives the client's connection another handler where a subrequest
    # has failed

    for my $fails (0, 1) {
        my $name = 'a WebSocket whose mirror ' . ($fails ? 'fails' : 'works');
        my $errors = () = $server->error_log =~ /prematurely closed|reset by peer/g;
        my $ws = Chat::WebSocket->established(
            port => $port, path => app_path('/mirrored'));

        ok($ws->subscribe('chat'), "$name: before");

        if ($fails) {
            close $listener->accept;
            ok(wait_for(10, sub {
                   my $now = () = $server->error_log =~ /prematurely closed|reset by peer/g;
                   return $now > $errors;
               }), "$name: 502");
        } else {
            mirrored($listener);
        }

        ok($ws->subscribe('other'), "$name: behind");
        $res = $http->post('/messages', { content => $name });
        is($_->next_event->{data}, $res->{body}, "$name: an event")
            for $ws, $subscriber;
        $ws->send_close(1000);
        is($ws->wait_close, 1000, "$name: a close");
    }
};


subtest 'error_page' => sub {
    my $res = $http->post('/errors', { content => 'x' x 2000 });

    is($res->{status}, 413, '413 by another location');
    is($res->{body}, 'my own 413', 'with its text');

    # nginx replaces what a handler returns, not what it has answered
    my %answers = (
        400 => [ 'POST', { 'Content-Type' => 'application/json' }, '{' ],
        405 => [ 'DELETE', {} ],
        415 => [ 'POST', { 'Content-Type' => 'text/plain' }, 'x' ],
        422 => [ 'POST', { 'Content-Type' => 'application/json' }, '{}' ],
    );

    for my $status (sort keys %answers) {
        my ($method, @request) = @{ $answers{$status} };

        $res = $http->request($method, '/errors', @request);
        is($res->{status}, $status, "$status is our own");
        like($res->{body}, qr/^\{/, "$status: with our JSON");
    }

    # the body is gone when the second location is asked
    $res = $http->post('/errors-to-us', { content => 'x' x 2000 });
    is($res->{status}, 200, '413 by an endpoint of ours, as GET');

    post_ok('/errors', 'afterwards');
    get_ok('/errors', 'afterwards');
};


subtest 'access' => sub {
    my %origin = (Origin => 'https://app.example.com');
    my $res = refused(403, '/denied', 'deny', \%origin);

    is($res->{headers}{'access-control-allow-origin'}, '*',
       'a script may see that');
    is($http->get('/denied', \%origin)->{status}, 403, 'deny: GET');
    is(Chat::WebSocket->new(port => $port, path => app_path('/denied'))
           ->{status}, 403, 'deny: WebSocket');

    $res = refused(401, '/basic', 'auth_basic, nobody');
    ok($res->{headers}{'www-authenticate'}, 'a browser will ask');

    my %ann = (Authorization => 'Basic '
                                . encode_base64('ann:secret of ann', ''));
    my %bob = (Authorization => 'Basic ' . encode_base64('ann:secret', ''));

    refused(401, '/basic', 'auth_basic, wrong password', \%bob);

    $res = post_ok('/basic', 'auth_basic', \%ann);
    is(from_json($res->{body})->{author}, 'ann', 'the user is the author');
    is(from_json($http->get('/messages?limit=1')->{body})->[0]{author},
       'ann', 'who is stored');

    $res = post_ok('/basic', 'auth_basic', \%ann,
                   { content => 'x', author => 'bob' });
    is(from_json($res->{body})->{author}, 'ann', 'whatever the body says');

    refused(401, '/asked', 'auth_request');
    post_ok('/asked', 'auth_request', { 'X-Token' => 'open' });
    get_ok('/asked', 'auth_request', { 'X-Token' => 'open' });
};


subtest 'limit_req' => sub {
    post_ok('/limited', 'the first one');
    refused(503, '/limited', 'the next one');
    refused(429, '/limited-429', 'limit_req_status');
    get_ok('/limited', 'not limited');
    post_ok('/messages', 'elsewhere');
};


subtest 'limit_conn' => sub {
    my @at = (port => $port, path => app_path('/limited'));
    my ($first, $second) = map { Chat::WebSocket->established(@at) } 1, 2;

    is(Chat::WebSocket->new(@at)->{status}, 503, 'one too many');
    is(Chat::WebSocket->new(@at)->{status}, 503, 'and again');

    $first->send_close(1000);
    is($first->wait_close, 1000, 'one closes');
    $first->disconnect;

    my $third;

    ok(wait_for(5, sub {
           $third = Chat::WebSocket->new(@at);
           $third->{status} == 101;
       }), 'there is room for another');

    $second->disconnect;

    my $fourth;

    ok(wait_for(5, sub {
           $fourth = Chat::WebSocket->new(@at);
           $fourth->{status} == 101;
       }), 'one breaks off, and there is room');
    is(Chat::WebSocket->new(@at)->{status}, 503, 'not for more');

    $_->disconnect for $third, $fourth;
};


subtest 'access_log' => sub {
    my $log = $server->dir . '/logs/access.log';
    my $path = app_path('/logged');
    my ($uri) = $path =~ /^(.*?)\?/;
    my $ws = Chat::WebSocket->established(port => $port, path => $path);

    $ws->subscribe('chat');
    post_ok('/logged', 'a POST');
    $ws->next_event;

    ok(wait_for(5, sub { slurp($log) =~ m{^201 POST /logged$}m }),
       'a POST is logged');
    unlike(slurp($log), qr/^101/m, 'a WebSocket not while it is open');

    $ws->send_close(1000);
    is($ws->wait_close, 1000, 'it is closed');
    $ws->disconnect;
    ok(wait_for(5, sub { slurp($log) =~ m{^101 GET \Q$uri\E$}m }),
       'then it is logged, with 101');

    $ws = Chat::WebSocket->established(port => $port, path => $path);
    $ws->disconnect;
    ok(wait_for(5, sub { (() = slurp($log) =~ m{^101 }mg) == 2 }),
       'and so is one that breaks off');
    is(scalar(() = slurp($log) =~ /^/mg), 3, 'there is nothing else');
};


subtest 'access_log when a WebSocket opens' => sub {
    my $log = $server->dir . '/logs/open.log';
    my $path = app_path('/logged-open');
    my ($uri) = $path =~ /^(.*?)\?/;
    my $ws = Chat::WebSocket->established(port => $port, path => $path);

    ok(wait_for(5, sub { slurp($log) =~ m{^101 GET \Q$uri\E$}m }),
       'it is logged while it is open');

    $ws->subscribe('chat');
    my $res = post_ok('/messages', 'without a request');

    is($ws->next_event->{data}, $res->{body}, 'it gets events');

    $ws->send_close(1000);
    is($ws->wait_close, 1000, 'it is closed');
    $ws->disconnect;

    my ($bad) = $path =~ s/6ed/7ed/r;

    $ws = Chat::WebSocket->new(port => $port, path => $bad);
    is($ws->wait_close, 4001, 'one is refused');
    $ws->disconnect;

    ok(wait_for(5, sub { (() = slurp($log) =~ /^101 /mg) == 2 }),
       'each is logged once');
    is(scalar(() = slurp($log) =~ /^/mg), 2, 'there is nothing else');
};


ok($subscriber->nothing_waits, 'no event was sent for what was refused');

$server->finish;

done_testing();
