# The HTTP API's edges (P89, P90, P98): limits, bad input, each JSON type
# where another is expected, paths and methods, bodies in pieces, HTTP/2.
# What is refused is refused in plain text, and nothing of it is published.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::API qw(escape is_ok is_plain fault_of_text);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to signin is_event);
use Chat::Server qw(APP_ID SCALE slurp spew);

my $t = Chat::Pusher->new(workers => 1, tls => 1, more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location /users/ { chat_api; }

        location /small/apps/ {
            client_max_body_size 1k;
            chat_api;
        }

        location /large/apps/ {
            client_max_body_size 8m;
            chat_max_message_size 20k;
            chat_api;
        }

        location /slow/apps/ {
            client_body_timeout 1s;
            chat_api;
        }

        # what the client wrote counts, whatever becomes of it here
        location /rewritten/ {
            rewrite ^/rewritten(/.*)$ $1?more=1 last;
        }

        location /file/apps/ {
            client_body_in_file_only on;
            chat_api;
        }

        location /redirected/apps/ {
            error_page 403 = @api;
            return 403;
        }

        location @api { chat_api; }

        location /guarded/apps/ {
            auth_request /guard;
            chat_api;
        }

        location = /guard {
            internal;
            return 204;
        }

        # a subrequest of chat_api's, which sees the client's own path
        location /asked/apps/ {
            auth_request /ask;
            chat_api;
        }

        location = /ask {
            internal;
            chat_api;
        }
END_OF_MORE
my ($worker) = $t->server->worker_pids;
my $api = Chat::API->new(port => $t->port);
my $ws = $t->ws;
my $user = 'user-1';

# all that is refused would go here
subscribe_to($ws, $_) for 'x', 'y';
signin($ws, { id => $user });


sub event {
    return { name => 'e', channel => 'x', data => 'd', @_ };
}


sub arrives {
    my ($data, $name) = @_;

    is_event($ws->next_event, 'e', 'x', $data, "$name: arrives");
}


# The same event, sent in each of the ways that there are.

sub is_refused {
    my ($event, $status, $like, $name) = @_;

    is_plain($api->trigger($event), $status, $like, $name);
    is_plain($api->batch([ event(), $event, event() ]), $status, $like,
             "$name, in a batch");
}


subtest 'P89: data' => sub {
    my $long = qr/exceeds the allowed maximum \(10240 bytes\)/;
    my %fits = (
        'ASCII'     => 'x' x 10240,
        'two bytes' => "\x{e9}" x 5120,
        'four'      => "\x{1f600}" x 2560,
        'escapes'   => "\"\n" x 5120,
        'NULs'      => "\0" x 10240,
    );

    for (sort keys %fits) {
        my $data = $fits{$_};

        is_ok($api->trigger(event(data => $data)), {}, "10240 bytes, $_");
        arrives($data, "P89: $_");
        is_refused(event(data => $data . 'y'), 413, $long,
                   "P89: 10241 bytes, $_");
        is_refused(event(data => 'y' . $data), 413, $long,
                   "P89: 10241 bytes, $_, at the beginning");
    }

    my @ten = map { event(data => 'x' x 10240) } 1 .. 10;

    is_ok($api->batch(\@ten), {}, 'ten of them');
    arrives('x' x 10240, $_) for 1 .. 10;

    is_ok($api->post('channels/x/events', 'x' x 10240,
                     query => [ name => 'e' ]), {}, 'deprecated', 202);
    arrives('x' x 10240, 'deprecated');
    is_plain($api->post('channels/x/events', 'x' x 10241,
                        query => [ name => 'e' ]), 413, $long,
             'P89: deprecated, one more');
    is_plain($api->post('channels/x/events', $_, query => [ name => 'e' ]),
             400, qr/UTF-8/, 'deprecated, no UTF-8')
        for "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82";

    my $large = Chat::API->new(http => $api->http, prefix => '/large');
    is_ok($large->trigger(event(data => 'x' x 20480)), {},
          'chat_max_message_size');
    arrives('x' x 20480, 'chat_max_message_size');
    is_plain($large->trigger(event(data => 'x' x 20481)), 413,
             qr/\(20480 bytes\)/, 'one more');
    $t->nothing('P89: of what was refused', $ws);
};


subtest 'P90: lists and names' => sub {
    my @many = ('x', map { "many-$_" } 1 .. 100);

    is_ok($api->trigger(event(channel => undef,
                              channels => [ @many[0 .. 99] ])), {},
          '100 channels');
    arrives('d', '100 channels');
    is_plain($api->trigger(event(channel => undef, channels => \@many)), 400,
             qr/\S/, 'P90: 101 channels');
    is_plain($api->trigger(event(channel => 'x',
                                 channels => [ @many[1 .. 100] ])),
             400, qr/\S/, 'P90: 101 with channel');
    is_refused(event(channel => undef, channels => []), 400, qr/\S/,
               'no channels');
    is_refused(event(channel => undef), 400, qr/\S/, 'no channel');

    is_ok($api->batch([ (event()) x 10 ]), {}, 'ten events');
    arrives('d', "event $_") for 1 .. 10;
    is_plain($api->batch([ (event()) x 11 ]), 400, qr/\S/, 'P90: 11 events');
    is_plain($api->batch([]), 400, qr/\S/, 'P90: an empty batch');

    # an entry of a batch has one channel; where it has more, they are counted
    my @half = (channel => undef, channels => [ @many[0 .. 49] ]);
    is_ok($api->batch([ event(@half), event(@half) ]), {},
          'a batch for 100 channels');
    arrives('d', 'of a batch') for 1, 2;
    is_plain($api->batch([ event(@half), event(@half), event() ]), 400,
             qr/\S/, 'P90: one more');
    is_plain($api->batch({}), 400, qr/\S/, 'P90: no batch');

    my $name = 'n' x 200;
    is_ok($api->trigger(event(channel => $name)), {},
          'a channel of 200 characters');

    for my $bad ('n' x 201, '', 'a b', 'a/b', 'a:b', 'a#b', '#', '#x',
                 '#server-to-user-', '#server-to-user', "\x{e9}", "x\n",
                 "\0", '!x', 'x*')
    {
        my $what = 'a channel ' . substr $bad, 0, 20;

        is_refused(event(channel => $bad), 400, qr/\S/, "P27 P90: $what");
        is_refused(event(channel => undef, channels => [ 'x', $bad, 'y' ]),
                   400, qr/\S/, "P27 P90: $what among others");
        is_plain($api->post('channels/' . escape($bad) . '/events', 'd',
                            query => [ name => 'e' ]), 400, qr/\S/,
                 "P27: $what, deprecated")
            if $bad =~ /[^\0]/;                    # nginx has its own answer
    }

    for my $good ('e' x 200, "\x{e9}" x 200, ' ', 'client-x', 'pusher',
                  'pusherx:y', 'Pusher:x')
    {
        is_ok($api->trigger(event(name => $good)), {}, 'an event '
              . substr $good, 0, 20);
        is($ws->next_event->{event}, $good, 'arrives');
    }

    is_refused(event(name => $_), 400, qr/\S/,
               'P90: an event ' . substr $_, 0, 20)
        for '', 'e' x 201, "\x{e9}" x 201, 'pusher:x', 'pusher_internal:x';

    is_refused(event(socket_id => $_), 400, qr/\S/, "socket_id '$_'")
        for '', 'x', '1', '1.', '.1', '1.2.3', '1.2 ', ' 1.2', '-1.2',
            "1.2\n", "\x{663}.\x{662}", '1.2x', '1,2', '0x1.2';

    is_plain($api->get('channels', [ map { ("x$_" => 1) } 1 .. 500 ]), 400,
             qr/\S/, '500 parameters');
    $t->nothing('P90: nothing is published', $ws);
};


# Each member of each body, and each kind of value that is not its own.

subtest 'P90: each JSON type where another is expected' => sub {
    my %type = (
        'a string' => 'x', 'a number' => 1, 'a fraction' => 1.5,
        'true' => JSON::PP::true(), 'false' => JSON::PP::false(),
        'null' => undef, 'an array' => [ 'x' ], 'an empty array' => [],
        'an object' => { x => 'x' }, 'an empty object' => {},
    );

    my @strings = ('a string');
    my @absent = ('a string', 'null');
    my %good = (
        name => \@strings, data => \@strings,
        info => \@absent, idempotency_key => \@absent,
    );

    for my $member (sort keys %good) {
        my %is_good = map { $_ => 1 } @{$good{$member}};

        for (grep { !$is_good{$_} } sort keys %type) {
            my $like = $member eq 'name' || $member eq 'data'
                       ? qr/^Expected $member parameter to be a string$/
                       : qr/\S/;

            $like = qr/\S/ if $_ eq 'null';
            my %bad = ($member => $type{$_});

            if ($member eq 'idempotency_key') {
                is_plain($api->trigger(event(%bad)), 400, $like,
                         "P90: $member is $_");
                is_plain($api->batch({ batch => [ event() ], %bad }), 400,
                         $like, "P90: $member of a batch is $_");

            } else {
                is_refused(event(%bad), 400, $like, "P90: $member is $_");
            }
        }
    }

    for (grep { $_ ne 'a string' } sort keys %type) {
        is_refused(event(channel => $type{$_}), 400, qr/\S/,
                   "P90: channel is $_");
        is_refused(event(channel => undef, channels => [ 'x', $type{$_} ]),
                   400, qr/\S/, "P90: one of channels is $_");
        is_refused(event(channel => undef, channels => $type{$_}), 400, qr/\S/,
                   "P90: channels is $_") if $_ ne 'an array';
        is_refused(event(socket_id => $type{$_}), 400, qr/\S/,
                   "P90: socket_id is $_") if $_ ne 'null';
    }

    for (sort keys %type) {
        is_plain($api->batch({ batch => $type{$_} }), 400, qr/\S/,
                 "P90: batch is $_");
        is_plain($api->batch([ event(), $type{$_} ]), 400, qr/\S/,
                 "P90: an event of a batch is $_");
        is_plain($api->trigger(json_bytes($type{$_})), 400, qr/\S/,
                 "P90: an event is $_");
        is_plain($api->batch(json_bytes($type{$_})), 400, qr/\S/,
                 "P90: a batch's body is $_");
    }

    for my $member ('name', 'data') {
        my $event = event();
        delete $event->{$member};
        is_refused($event, 400, qr/\S/, "P90: no $member");
    }

    $t->nothing('P90: nothing is published', $ws);
};


subtest 'P90: no JSON' => sub {
    my $event = json_bytes(event());
    my $data = sub { return $event =~ s/"d"/"$_[0]"/r };
    my %json = (
        'empty'                => '',
        'blank'                => "  \n",
        'truncated'            => substr($event, 0, -1),
        'something behind'     => "$event x",
        'twice'                => $event x 2,
        'an array of it'       => "[$event]",
        'a comma too many'     => $event =~ s/}/,}/r,
        'single quotes'        => $event =~ tr/"/'/r,
        'a comment'            => $event =~ s/:/: \/* *\/ /r,
        'NaN'                  => $event =~ s/}/,"z":NaN}/r,
        'deep arrays'          => '[' x 100_000,
        'deep arrays within'   => $event =~ s/}/',"z":' . '[' x 100_000
                                               . ']' x 100_000 . '}'/er,
        'deep objects'         => '{"a":' x 100_000 . '1' . '}' x 100_000,
        'latin 1'              => $data->("\xe9"),
        'overlong'             => $data->("\xc0\xaf"),
        'a surrogate in UTF-8' => $data->("\xed\xa0\x80"),
        'cut UTF-8'            => $data->("\xe2\x82"),
        'above U+10FFFF'       => $data->("\xf4\x90\x80\x80"),
        'bad UTF-8 elsewhere'  => $event =~ s/}/,"z":"\xff"}/r,
        'UTF-16'               => "\xff\xfe{\0}\0",
        'a raw newline'        => $data->("\n"),
        'a raw NUL'            => $data->("\0"),
        'an unknown escape'    => $data->('\\x41'),
        'a form'               => 'name=e&channel=x&data=d',
    );

    for (sort keys %json) {
        is_plain($api->trigger($json{$_}), 400, qr/\S/, "P90: $_");
        is_plain($api->batch("{\"batch\":[$event,$json{$_}]}"), 400, qr/\S/,
                 "P90: $_, in a batch") unless $_ eq 'twice';
    }

    $t->nothing('P90: nothing is published', $ws);
};


subtest 'all of a batch is checked first' => sub {
    for my $at (0, 5, 9) {
        my @batch = map { event() } 1 .. 10;

        $batch[$at] = event(name => '');
        is_plain($api->batch(\@batch), 400, qr/\S/, "event $at is bad");
        $batch[$at] = event(data => 'x' x 10241);
        is_plain($api->batch(\@batch), 413, qr/\S/, "event $at is too long");
    }

    $t->nothing('P90: nothing is published', $ws);
};


# Twice what should be once, and what would break a line of text.

subtest 'P81: what a refusal says' => sub {
    my @after = (
        map({ { auth_signature => $_ } }
            '', 'x', '0' x 64, 'f' x 5000, "a\nb", "a\r\nX: y", "\0",
            '<b>"\\', "\xff\xfe", "\x{1f600}", 'a&b=c %s%n'),
        map({ { auth_key => $_ } } "a\nb", "\0", "\xff", '<b>', 'k' x 3000),
        map({ { auth_version => $_ } } "1.0\n", "\0", "\xff"),
        map({ { auth_timestamp => $_ } } "1\n", "\0", "\xff", '1' x 3000,
            time() . "\0", time() . "\n"),
        map({ { body_md5 => $_ } } "\n", "\0", "\xff", 'd' x 3000),
        map({ { x => $_ } } "a\nb", "\r\n\r\n", "\0", "\xff", 'y' x 5000),
    );

    for my $after (@after) {
        my ($name, $value) = %$after;
        my $what = "$name " . substr escape($value), 0, 30;

        is_plain($api->get('channels', [], after => $after), 401, qr/\S/,
                 "P81: $what");
        is_plain($api->trigger(event(), after => $after), 401, qr/\S/,
                 "P81: $what, POST");
        is_plain($api->get('channels', [], auth => $after), 401, qr/\S/,
                 "P81: $what, signed") if $name =~ /^(?:auth_k|auth_[tv])/;
    }

    for my $how ([ auth_signature => '0' x 64 ], [ auth_key => 'nobody' ],
                 [ auth_timestamp => 1 ], [ body_md5 => 'x' ])
    {
        my ($name, $value) = @$how;
        my $target = $api->target('GET', $api->path('channels'));

        $target =~ s/$name=[^&]*//;
        is_plain($api->call_target('GET', "$target&$name=$value&$name=" . '1'
                                          x 64), 401, qr/\S/,
                 "P81: $name twice");
    }

    $t->nothing('nothing is published', $ws);
};


subtest 'paths and methods' => sub {
    my $id = APP_ID;
    my $none = "users/$user/terminate_connections";

    is_plain($api->get($_), 404, qr/\S/, "GET $_")
        for "/apps/$id", "/apps/$id/", "/apps/$id/x", "/apps/$id/channel",
            "/apps/$id/channelsx", "/apps/$id/Channels", '/apps/',
            '/apps//channels', '/apps/99/channels', '/apps/x/channels',
            "/apps/$id/channels/x/y", "/apps/$id/channels/x/users/y",
            "/apps/$id/channels/x/users/", "/apps/$id/channels/x/Users",
            "/apps/$id/channels/x/stats/y", "/apps/$id/users",
            "/apps/$id/users/", "/apps/$id/users/7", "/apps/$id//channels",
            "/apps/$id/x/channels", '/users/', '/users/7', '/users/7/x';
    is_plain($api->post($_, '{}'), 404, qr/\S/, "POST $_")
        for "/apps/$id/eventsx", "/apps/$id/events/", "/apps/$id/events/x",
            "/apps/$id/batch", "/apps/$id/batch_events/", '/apps/99/events',
            "/apps/$id/users//terminate_connections",
            "/apps/$id/users/7/terminate_connections/",
            "/apps/$id/users/7/terminate", "/apps/$id/users/a/b/"
            . 'terminate_connections', '/users//terminate_connections',
            '/users/a/b/terminate_connections',
            '/users/7/terminate_connections/x', "/apps/99/$none";

    my @routes = (
        [ 'POST', 'events' ], [ 'POST', 'batch_events' ],
        [ 'GET', 'channels' ], [ 'GET', 'channels/x' ],
        [ 'GET', 'channels/presence-x/users' ],
        [ 'GET', 'channels/x/stats' ], [ 'POST', 'channels/x/events' ],
        [ 'POST', $none ], [ 'POST', "/$none" ],
    );

    for (@routes) {
        my ($right, $what) = @$_;

        for my $method (grep { $_ ne $right } 'GET', 'POST', 'PUT', 'DELETE',
                        'PATCH', 'FOO')
        {
            my $res = $api->call($method, $what,
                                 $method eq 'GET' ? () : (body => '{}'));

            is_plain($res, 405, qr/\S/, "$method $what");
            like($res->{headers}{allow} || '', qr/\b$right\b/,
                 "$method $what: Allow");
        }
    }

    # who bears a key is told only if the rest is signed, too
    my @bad = ([ 'GET', "/apps/$id/x", 404 ],
               [ 'GET', '/apps/99/channels', 404 ],
               [ 'GET', '/users/7/x', 404 ], [ 'PUT', 'events', 405 ],
               [ 'GET', $none, 405 ], [ 'POST', 'channels', 405 ]);

    for (@bad) {
        my ($method, $what, $status) = @$_;
        my $path = $api->path($what);

        is_plain($api->call_target($method, $path), $status, qr/\S/,
                 "$method $what, no key");
        is_plain($api->call($method, $what, after => { auth_signature => 'x' }),
                 401, qr/^Invalid signature: /, "P81: $method $what");
        is_plain($api->call($method, $what, auth => { auth_timestamp => 1 }),
                 401, qr/^Timestamp expired/, "P82: $method $what");
        is_plain($api->call($method, $what, auth => { auth_key => 'x' }),
                 401, qr/^Unknown auth_key$/, "P81: $method $what");
        is_plain($api->call($method, $what), $status, qr/\S/,
                 "$method $what, signed");
    }

    $t->nothing('nobody is sent away', $ws);
};


subtest 'headers' => sub {
    my $body = json_bytes(event());

    for my $type ('application/json', 'text/plain', 'application/json; x=y',
                  'application/x-www-form-urlencoded', '')
    {
        is_ok($api->trigger($body, headers => { 'Content-Type' => $type }),
              {}, "Content-Type '$type'");
        arrives('d', $type);
    }

    my $res = $api->http->request('POST',
        $api->target('POST', $api->path('events'), body => $body), {}, $body);

    is_ok($res, {}, 'no Content-Type');
    arrives('d', 'no Content-Type');
    is_ok($api->trigger($body, headers => { 'X-Pusher-Library' => 'x 1.0',
              'X-HTTP-Method-Override' => 'GET', Accept => 'text/html',
              'User-Agent' => 'x' }), {}, 'others');
    arrives('d', 'others');
};


# What nginx does with a request on its way: rewrites, redirects, subrequests.

subtest 'ways through nginx' => sub {
    for my $prefix ('/rewritten', '/file', '/guarded') {
        my $one = Chat::API->new(port => $t->port, prefix => $prefix);

        for my $data ('d', 'x' x 10000) {
            is_ok($one->trigger(event(data => $data)), {}, $prefix);
            arrives($data, $prefix);
        }

        is_ok($one->get('channels', [ filter_by_prefix => 'none-' ]),
              { channels => {} }, "$prefix: GET");
        is_plain($one->trigger(event(), after => { x => 1 }), 401,
                 qr/^Invalid signature: /, "P81: $prefix");
    }

    # auth_request asks by GET, which is not what a POST signs
    my $asked = Chat::API->new(port => $t->port, prefix => '/asked');
    is_ok($asked->get('channels', [ filter_by_prefix => 'none-' ]),
          { channels => {} }, 'as a subrequest');
    is($asked->trigger(event())->{status}, 401, 'P81: of another method');

    my $one = Chat::API->new(port => $t->port, prefix => '/redirected');
    is_ok($one->get('channels', [ filter_by_prefix => 'none-' ]),
          { channels => {} }, 'redirected to a named location');
    is_ok($one->trigger(event()), {}, 'a POST, too');
    arrives('d', 'redirected');

    $t->nothing('nothing else', $ws);
};


subtest 'HEAD' => sub {
    my $one = Chat::API->new(port => $t->port);

    for my $what ('channels', 'channels/x', 'channels/presence-x/users') {
        my $get = $one->get($what);
        my $res = $one->call('HEAD', $what);

        is($res->{status}, 200, "HEAD $what");
        is($res->{headers}{'content-length'}, length $get->{body},
           'as long as that of GET');
    }

    is($one->call('HEAD', 'channels', sign => [ 'GET' ])->{status}, 401,
       'P81: signed for GET');
    is($one->call('HEAD', 'events')->{status}, 405, 'of a POST');
    is_ok($one->get('channels/x'), { occupied => JSON::PP::true() },
          'the connection goes on');
};


sub chunks {
    my (@parts) = @_;

    return join '', map { sprintf("%x\r\n%s\r\n", length, $_) } @parts, '';
}


subtest 'P98: bodies in pieces' => sub {
    my $body = json_bytes(event());
    my $http = $api->http;
    my $head = sub {
        my ($bytes, %more) = @_;

        return Chat::HTTP->format_request('POST',
            $api->target('POST', $api->path('events'), body => $bytes),
            { 'Content-Length' => length $bytes, %more }, '');
    };
    my $chunked = sub {
        return $head->($_[0], 'Transfer-Encoding' => 'chunked')
               =~ s/Content-Length: \d+\r\n//r;
    };

    $http->send_raw($chunked->($body) . chunks($body));
    is_ok($http->read_response('POST'), {}, 'P98: one chunk');
    arrives('d', 'one chunk');

    $http->send_raw($chunked->($body) . chunks(split //, $body));
    is_ok($http->read_response('POST'), {}, 'P98: chunks of a byte');
    arrives('d', 'chunks of a byte');

    $http->send_raw($chunked->("$body ") . chunks($body));
    is_plain({ %{ $http->read_response('POST') }, secret => 'none',
               right => 'none' }, 401, qr/\S/, 'P83: chunked, not as signed');

    for my $text ($head->($body) . $body, $chunked->($body)
                                          . chunks(split //, $body))
    {
        for (split //, $text) {
            $http->send_raw($_);
            sleep(0.0005);
        }

        is_ok($http->read_response('POST'), {}, 'P98: byte by byte');
        arrives('d', 'byte by byte');
    }

    # more than is read with the head, and than a buffer in memory holds
    for my $size (2_000, 16_000, 17_000, 100_000, 900_000) {
        my $long = $body . ' ' x $size;
        my $text = $head->($long) . $long;

        while (length $text) {
            $http->send_raw(substr $text, 0, 7000, '');
            sleep(0.001);
        }

        is_ok($http->read_response('POST'), {}, "P98: $size bytes");
        arrives('d', "$size bytes");

        $http->send_raw($chunked->($long)
                        . chunks($long =~ /(.{1,5000})/gs));
        is_ok($http->read_response('POST'), {}, "P98: $size bytes, chunked");
        arrives('d', "$size bytes, chunked");
    }

    # an escape of six bytes for each
    my $data = '\\u00e9' x 5120;
    is_ok($api->batch('{"batch":[' . join(',', ("{\"name\":\"e\",\"channel\":"
                      . "\"x\",\"data\":\"$data\"}") x 10) . ']}'), {},
          'ten full events in escapes');
    arrives("\x{e9}" x 5120, "escapes, $_") for 1 .. 10;

    $http->send_raw($chunked->($body)
                    . chunks($body) =~ s/\r\n$/X-Trailer: x\r\n\r\n/r);
    is_ok($http->read_response('POST'), {}, 'P98: chunked with a trailer');
    arrives('d', 'a trailer');

    # asked for before it is sent, unless it is not wanted
    $http->send_raw($head->($body, Expect => '100-continue'));
    is($http->read_response('POST')->{status}, 100, 'Expect: 100-continue');
    $http->send_raw($body);
    is_ok($http->read_response('POST'), {}, 'and then the body');
    arrives('d', 'Expect');

    # of a request that is not signed the body is not waited for
    my $c = Chat::HTTP->new(port => $t->port);
    $c->send_raw(Chat::HTTP->format_request('POST',
        $api->target('POST', $api->path('events'), body => $body,
                     after => { auth_signature => '0' x 64 }),
        { 'Content-Length' => 900_000 }, ''));
    is($c->read_response('POST')->{status}, 401, 'P81: before the body');

    # a length that is less than what is sent: the rest is no request
    $c = Chat::HTTP->new(port => $t->port);
    $c->send_raw($head->($body, 'Content-Length' => length($body) - 1)
                 . $body);
    is($c->read_response('POST')->{status}, 401, 'P83: a length too small');
    is($c->read_response('POST')->{status}, 400, 'and what follows it');

    # and more than what is sent: the next request is not part of it
    $c = Chat::HTTP->new(port => $t->port);
    $c->send_raw($head->($body, 'Content-Length' => length($body) + 10)
                 . $body . $head->($body) . $body);
    is($c->read_response('POST')->{status}, 401, 'P83: a length too large');

    for my $length ('-1', 'x', '1x', '9' x 30) {
        $c = Chat::HTTP->new(port => $t->port);
        $c->send_raw($head->($body, 'Content-Length' => $length) . $body);
        like($c->read_response('POST')->{status}, qr/^4/,
             "Content-Length: $length");
    }

    $c = Chat::HTTP->new(port => $t->port);
    $c->send_raw($chunked->($body) . "zz\r\n$body\r\n0\r\n\r\n");
    is($c->read_response('POST')->{status}, 400, 'a chunk of no length');

    $c = Chat::HTTP->new(port => $t->port);
    $c->send_raw($head->($body) . substr $body, 0, 20);
    $c->close;
    ok(1, 'a client that leaves');

    my $slow = Chat::API->new(port => $t->port, prefix => '/slow');
    $slow->http->send_raw(substr $slow->request_bytes('POST', 'events',
                                                      body => $body), 0, -5);
    my $res = $slow->http->read_response('POST');
    ok(!$res->{status} || $res->{status} == 408, 'one that waits: 408');
    $t->nothing('of neither', $ws);
};


subtest 'bodies too large' => sub {
    my $body = json_bytes(event());
    my $fill = sub { return $body . ' ' x ($_[0] - length $body) };
    my $mega = 1024 * 1024;

    is_ok($api->trigger($fill->($mega)), {}, '1 MiB');
    arrives('d', '1 MiB');

    # a connection each: the rest of such a body may end it
    for my $size ($mega + 1, 4 * $mega) {
        my $one = Chat::API->new(port => $t->port);
        is($one->trigger($fill->($size))->{status}, 413, "$size bytes: 413");
    }

    my $one = Chat::API->new(port => $t->port, prefix => '/small');
    is_ok($one->trigger($fill->(1024)), {}, 'client_max_body_size');
    arrives('d', 'client_max_body_size');
    is($one->trigger($fill->(1025))->{status}, 413, 'beyond it: 413');

    $one = Chat::API->new(port => $t->port, prefix => '/small');
    my $text = $one->request_bytes('POST', 'events', body => $fill->(2000),
        headers => { 'Transfer-Encoding' => 'chunked' });
    $text =~ s/(\r\n\r\n).*/$1/s;
    $one->http->send_raw($text . chunks($fill->(2000)));
    is($one->http->read_response('POST')->{status}, 413, 'chunked: 413');

    # what nginx lets in the API may take, or refuse in its own words
    $one = Chat::API->new(port => $t->port, prefix => '/large');
    my $res = $one->trigger($fill->(2 * $mega));

    if ($res->{status} == 200) {
        arrives('d', '2 MiB where they are allowed');

    } else {
        is_plain($res, 413, qr/\S/, '2 MiB, refused by the API');
    }

    $t->nothing('nothing else is published', $ws);
};


subtest 'P98: keep-alive and pipelining' => sub {
    my $one = Chat::API->new(port => $t->port);
    my $socket = $one->http->socket;
    my @bad = ([ 'channels/a%20b', 400 ], [ 'x', 404 ]);

    for my $n (1 .. 50) {
        is_ok($one->trigger(event(data => "n$n")), {}, "P98: $n");
        arrives("n$n", 'P98');

        my ($what, $status) = @{ $bad[$n % 2] };
        is_plain($one->get($what), $status, qr/\S/, "P98: $n, an error");
        is_plain($one->trigger(event(), after => { x => 1 }), 401, qr/\S/,
                 "P98: $n, not let in");
    }

    ok($one->http->socket == $socket, 'P98: one connection all the time');

    my @all = map {
        my $n = $_;

        $n % 5 == 1 ? [ $one->request_bytes('GET', 'channels/none'), 200 ]
        : $n % 5 == 2 ? [ $one->request_bytes('POST', 'events', body => '{' ),
                          400 ]
        : $n % 5 == 3 ? [ $one->request_bytes('POST', 'events',
                              body => json_bytes(event()),
                              after => { auth_key => 'x' }), 401 ]
        : [ $one->request_bytes('POST', 'events',
                body => json_bytes(event(data => "p$n"))), 200, "p$n" ];
    } 1 .. 100;

    $one->http->send_raw(join '', map { $_->[0] } @all);

    my @got = map { $one->http->read_response('GET')->{status} } @all;
    is("@got", join(' ', map { $_->[1] } @all), 'P98: 100 pipelined, in order');
    is(join(' ', map { $ws->next_event->{data} } grep { $_->[2] } @all),
       join(' ', map { $_->[2] } grep { $_->[2] } @all), 'P98: so are events');

    # closed by the client's wish
    my $res = $one->trigger(event(), headers => { Connection => 'close' });
    is_ok($res, {}, 'Connection: close');
    is(lc($res->{headers}{connection} || ''), 'close', 'is answered');
    arrives('d', 'Connection: close');
    $t->nothing('that is all', $ws);
};


# curl's own client of HTTP/2: (what it wrote by --write-out, body)

my $curls = 0;

sub curl {
    my ($target, @args) = @_;

    my $out = $t->server->dir . '/tmp/curl-' . ++$curls;
    my $port = $t->server->tls_port;

    open my $fh, '-|', 'curl', '--silent', '--show-error', '--insecure',
         '--http2', '--globoff', '--max-time', 10 * SCALE, '--output', $out,
         '--write-out', '%{http_code} HTTP/%{http_version} %{content_type}',
         @args, "https://127.0.0.1:$port$target"
        or die "curl: $!";

    my $text = <$fh>;

    close $fh;
    $text .= ' exit ' . ($? >> 8) if $?;

    return ($text, -f $out ? slurp($out) : '');
}


subtest 'HTTP/2' => sub {
    my $json = 'application/json';

    # of one frame, and of many
    for my $size (10, 9000, 10240) {
        my $body = json_bytes(event(data => 'h' x $size));
        my $file = $t->server->dir . "/tmp/body-$size";

        spew($file, $body);

        my $target = $api->target('POST', $api->path('events'),
                                  body => $body);
        my ($status, $text) = curl($target, '--data-binary', "\@$file", '-H',
                                   "Content-Type: $json");

        is("$status $text", "200 HTTP/2 $json {}", "$size bytes");
        arrives('h' x $size, 'HTTP/2');

        ($status, $text) = curl($target, '--data-binary', "\@$file", '-H',
                                'Content-Length:', '-H', 'Content-Type:');
        is("$status $text", "200 HTTP/2 $json {}", "$size bytes, no type");
        arrives('h' x $size, 'HTTP/2');
    }

    my ($status, $text) = curl($api->target('GET', $api->path('channels/x'),
        query => [ info => 'subscription_count' ]));

    is($status, "200 HTTP/2 $json", 'GET');
    is_deeply(from_json($text), { occupied => JSON::PP::true(),
                                  subscription_count => 1 }, 'its answer');

    my $target = $api->target('GET', $api->path('channels'),
                              after => { x => 1 });
    ($status, $text) = curl($target);
    is(fault_of_text({ status => 401, body => $text, headers => {
           'content-type' => $status =~ s/^401 HTTP\/2 //r },
           secret => $api->{secret},
           right => $api->expected('GET', $target)->{right} }), '',
       'a refusal');
    like($text, qr/^Invalid signature: /, 'that says why');

    ($status) = curl($api->target('DELETE', $api->path('events')), '-X',
                     'DELETE');
    like($status, qr{^405 HTTP/2 }, 'another method');
    ($status) = curl($api->target('GET', $api->path('x')));
    like($status, qr{^404 HTTP/2 }, 'another path');
    $t->nothing('that is all', $ws);

    my $tls = Chat::API->new(port => $t->server->tls_port, tls => 1);
    is_ok($tls->trigger(event()), {}, 'HTTP/1.1 over TLS');
    arrives('d', 'HTTP/1.1 over TLS');
};


is_ok($api->trigger(event()), {}, 'an event after all that');
arrives('d', 'after all that');
is(join(' ', $t->server->worker_pids), $worker, 'it is the same worker');

$t->finish;

done_testing();
