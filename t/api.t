# The signed HTTP API (P79-P88, P91-P97 and P77; the rows on channels, cache
# and users for what it publishes).  Every question goes round the workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw(md5_hex);
use Test::More;
use Time::HiRes qw(time sleep);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::API qw(escape is_ok is_plain);
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(send_subscribe subscribe_to join_presence signin
                    is_event is_refused is_fatal);
use Chat::Server qw(APP_ID APP_KEY wait_for);

my $serial = 0;
my %other = (app => 2, key => 'other-key', secret => 'other-secret');


sub fresh { return shift() . sprintf '%04d', ++$serial }


# Calls the function within one second of the clock.

sub within_a_second {
    my ($cb) = @_;

    while (1) {
        my $now = time();

        if ($now - int $now > 0.7) {
            sleep(0.05);
            next;
        }

        my @got = $cb->(int $now);
        return @got if int time() == int $now;
    }
}


# The options of a request, for the name of a test.

sub describe {
    my (%o) = @_;
    my ($what, $how) = %o;

    my @list = ref $how eq 'HASH' ? %$how : @$how;

    return join ' ', $what, map { defined $_ ? $_ : 'undef' } @list;
}


# Numbers are numbers, for those that are strict about it.

sub has_numbers {
    my ($res, $name) = @_;

    unlike($res->{body}, qr/(?:count|ttl)":[^0-9]/, "$name: integers");
}


sub channel_of {
    my ($api, $channel, $info) = @_;

    return $api->get('channels/' . escape($channel),
                     defined $info ? [ info => $info ] : []);
}


# The vectors of 6.5: signature, app, method, path, body, parameters.

my $greet = '{"name":"greet","channels":["room-1","room-2"],'
            . '"data":"{\"msg\":\"hi\"}","socket_id":"10.20"}';
my $foo = '{"name":"foo","channels":["project-3"],'
          . '"data":"{\"some\":\"data\"}"}';

my @vectors = (
    [ '3e31e5a26dd655ec77737af04d49fc6257888057087c47f0c47f8220656b90cd',
      42, 'POST', '/apps/42/events', $greet ],
    [ '8e154b3522fd6a357c289921e24e42b8527220f303787415aca3da9a8ffb3e02',
      42, 'GET', '/apps/42/channels', undef,
      filter_by_prefix => 'presence-', info => 'user_count' ],
    [ 'c5f0591c916f601c2c3d17249434b84a7395b0e231d1908ab1799d29d741edb4',
      42, 'GET', '/apps/42/channels/presence-room', undef,
      info => 'user_count,subscription_count' ],
    [ '0d4e714f64b2d22a0dc8f2cd3b2b33f3eac432d43d52ee8504f83eece8b5d3b3',
      42, 'GET', '/apps/42/channels', undef,
      body_md5 => 'd41d8cd98f00b204e9800998ecf8427e' ],
    [ 'e905817076231f956694ef79e5a762a03e21d8ea23d60db8f9b3256bbf6619fc',
      42, 'GET', '/apps/42/channels', undef,
      'info[]' => 'a', 'info[]' => 'b' ],
    [ '414a52c7378ccaa465e6c8970bbddd7d1380ab259c58db97be501607111a6f93',
      42, 'POST', '/users/7/terminate_connections', '{}' ],
    [ 'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c',
      3, 'POST', '/apps/3/events', $foo ],
);


sub vectors {
    my ($t, $any) = @_;


    subtest 'P79: the vectors' => sub {
        is(md5_hex($greet), '645087c7218ac2ede7bc3dc5b6d937e0', 'a body');
        is(md5_hex($foo), 'ec365a775a4cd0599faeb73354201b6f', 'another');

        for (@vectors) {
            my ($signature, $app, $method, $path, $body, @query) = @$_;
            my $official = $app == 3;
            my $api = $any->(app => $app,
                key => $official ? '278d425bdf160c739803' : 'app-key-1',
                secret => $official ? '7ad3773142a6692b25b8'
                                    : 'app-secret-1');
            my $target = $api->target($method, $path, query => \@query,
                body => $body, auth => {
                    auth_timestamp => $official ? 1353088179 : 1700000000 });

            like($target, qr/[?&]auth_signature=$signature$/,
                 "$path: the tests' own");

            my $res = $api->call_target($method, $target, body => $body);

            is($res->{status}, 200, "P79: $method $path: accepted")
                or diag($res->{body});

            $target =~ s/.$/f/;
            is_plain($api->call_target($method, $target, body => $body), 401,
                     qr/^Invalid signature: /, "P79: $method $path: refused");
        }
    };
}


sub signing {
    my ($t, $any) = @_;


    subtest 'P79: any order, %2C or a comma' => sub {
        my $room = fresh('presence-');
        my @query = (info => 'user_count,subscription_count');
        my $want = { occupied => JSON::PP::false(), user_count => 0,
                     subscription_count => 0 };
        my %order = (
            'as sorted' => sub { sort { $a->[0] cmp $b->[0] } @_ },
            'backwards' => sub { sort { $b->[0] cmp $a->[0] } @_ },
            'the signature first' => sub { @_[-1, 0 .. $#_ - 1] },
            'the signature in the middle' =>
                sub { my $s = pop @_; (@_[0, 1], $s, @_[2 .. $#_]) },
        );
        my %write = (
            '%2C' => sub { escape($_[0]) . '=' . escape($_[1]) },
            '%2c' => sub { escape($_[0]) . '=' . lc escape($_[1]) },
            'a comma' => sub { "$_[0]=$_[1]" },
            'all of it escaped' => sub {
                join '=', map { s/(.)/sprintf '%%%02x', ord $1/ger } @_;
            },
        );

        for my $order (sort keys %order) {
            for my $write (sort keys %write) {
                my $res = $any->()->get("channels/$room", [ @query ],
                                        order => $order{$order},
                                        write => $write{$write});

                is_ok($res, $want, "$order, $write");
            }
        }
    };


    subtest 'P79: what is signed' => sub {
        my $want = { channels => {} };
        my @good = (
            [ 'a space, +, %, &, =', [ x => ' a+b%20&c=d ' ] ],
            [ 'characters', [ x => "\x{e9}\x{1f600}", "\x{4e2d}" => 1 ] ],
            [ 'equal names', [ 'x[]' => 'b', 'x[]' => 'a', 'x[]' => 'b' ] ],
            [ 'nothing', [ x => '', '' => 'x' ] ],
            [ 'a name that begins another', [ a => 1, ab => 2, 'a-b' => 3 ] ],
        );

        is_ok($any->()->get('channels', [ filter_by_prefix => 'none-',
                                          @{$_->[1]} ]), $want, $_->[0])
            for @good;

        is_ok($any->()->get('channels', [ filter_by_prefix => 'none-',
                                          x => 'a b  c' ],
            write => sub { escape($_[0]) . '=' . escape($_[1]) =~ s/%20/+/gr }),
              $want, 'a space written as +');

        my $bare = $any->();
        my $target = $bare->target('GET', $bare->path('channels'),
            query => [ filter_by_prefix => 'none-', bare => '' ]);
        $target =~ s/bare=/bare/;
        is_ok($bare->call_target('GET', $target), $want, 'without =');
        $target =~ s/&/&&/;
        is_ok($bare->call_target('GET', "$target&"), $want,
              'empty parameters do not matter');
    };


    subtest 'P80: upper-case names' => sub {
        my $want = { channels => {} };
        my $upper = sub { uc(escape($_[0])) . '=' . escape($_[1]) };

        is_ok($any->()->get('channels', [ Filter_By_Prefix => 'none-',
                                          B => 1, a => 2, C => 3 ]),
              $want, 'some');
        is_ok($any->()->get('channels', [ filter_by_prefix => 'none-' ],
                            write => $upper), $want, 'all');
        is_ok($any->()->trigger({ name => 'e', channel => 'c', data => '' },
                                write => $upper), {}, 'of a POST');
    };


    subtest 'P81: refused' => sub {
        my %foreign = (key => 'other-key', secret => 'other-secret');
        my $zero = '0' x 64;
        my @bad = (
            [ qr/^Missing parameter: auth_key$/,
              auth => { auth_key => undef } ],
            [ qr/^Unknown auth_key$/, auth => { auth_key => 'nobody' } ],
            [ qr/^Unknown auth_key$/, auth => { auth_key => '' } ],
            [ qr/^Unknown auth_key$/, auth => { auth_key => 'other-key' } ],
            [ qr/^Unknown auth_key$/,
              auth => { auth_key => uc(APP_KEY) . 'x' } ],
            [ qr/^Version required$/, auth => { auth_version => undef } ],
            [ qr/^Timestamp required$/, auth => { auth_timestamp => undef } ],
            map({ [ qr/\S/, auth => { auth_timestamp => $_ } ] }
                '', 'x', '-1', '0x65', '1e9', '1.5', '9' x 30, time() . 'x'),
            [ qr/\S/, after => { auth_signature => undef } ],
            map({ [ qr/^Invalid signature: /,
                    after => { auth_signature => $_ } ] }
                '', 'x', $zero, substr($zero, 1), "${zero}0", "\x{e9}" x 30),
            [ qr/^Invalid signature: /, sign => [ 'POST' ] ],
            [ qr/^Invalid signature: /, sign => [ 'get' ] ],
            [ qr/^Invalid signature: /, sign => [ undef, '/apps/2/channels' ] ],
            [ qr/^Invalid signature: /, sign => [ undef, '/channels' ] ],
            [ qr/^Invalid signature: /, after => { more => 1 } ],
        );

        for my $version ('', '1', '1.00', '2.0', '1.0 ') {
            push @bad, [ qr/^Version (?:not supported|required)$/,
                         auth => { auth_version => $version } ];
        }

        for (@bad) {
            my ($like, @how) = @$_;
            my $how = describe(@how);

            is_plain($any->()->get('channels', [], @how), 401, $like, $how);
            is_plain($any->()->trigger(
                { name => 'e', channel => 'c', data => '' }, @how), 401,
                qr/\S/, "POST, $how") if $how[0] ne 'sign';
        }

        is_plain($any->(%foreign)->get('channels'), 401,
                 qr/^Unknown auth_key$/, "another app's key");
        is_plain($any->(secret => 'other-secret')->get('channels'), 401,
                 qr/^Invalid signature: /, "another app's secret");

        my $res = $any->()->call_target('GET', '/apps/' . APP_ID
                                               . '/channels');
        is_plain($res, 401, qr/^Missing parameter: auth_key$/, 'no query');
        is_plain($any->()->get('/apps/4/channels', [],
                               auth => { auth_key => 'off-key' }), 403,
                 qr/\S/, 'an app that is disabled');
        is_plain($any->()->get("/apps/$_/channels"), 404, qr/\S/,
                 "no app $_") for 99, '017536051', 'x', '', '9' x 40, '-1';
    };


    subtest 'P82: the clock' => sub {
        for my $off (-599, 599, -1, 0, 1) {
            my ($res) = within_a_second(sub {
                $any->()->get('channels', [ filter_by_prefix => 'none-' ],
                              auth => { auth_timestamp => $_[0] + $off });
            });
            is_ok($res, { channels => {} }, "$off s");
        }

        my %short = (app => 7, key => 'short-key', secret => 'short-secret');

        for my $off (-9, 9, -10, 10) {
            my ($res) = within_a_second(sub {
                $any->(%short)->get('channels', [],
                                    auth => { auth_timestamp => $_[0] + $off });
            });

            if (abs $off < 10) {
                is_ok($res, { channels => {} }, "a window of 10 s, $off s");

            } else {
                is_plain($res, 401, qr/ not within 10s /,
                         "a window of 10 s, $off s");
            }
        }

        for my $off (-600, 600, -601, 601, -86400, 2 ** 31) {
            my ($res) = within_a_second(sub {
                $any->()->get('channels', [],
                              auth => { auth_timestamp => $_[0] + $off });
            });
            is_plain($res, 401,
                qr/^Timestamp expired: Given timestamp \(.*\) not within 600s /,
                "$off s");
        }
    };


    subtest 'P83: the body is signed' => sub {
        my $channel = fresh('x');
        my $ws = $t->ws;
        my $body = "{\"name\":\"e\",\"channel\":\"$channel\",\"data\":\"d\"}";

        subscribe_to($ws, $channel);

        is_plain($any->()->trigger($body, sign => [ undef, undef, "$body " ]),
                 401, qr/\S/, 'a blank less');
        is_plain($any->()->trigger("$body ", sign => [ undef, undef, $body ]),
                 401, qr/\S/, 'a blank more');
        is_plain($any->()->trigger($body =~ s/"d"/"D"/r,
                                   sign => [ undef, undef, $body ]),
                 401, qr/\S/, 'changed');
        is_plain($any->()->trigger('', sign => [ undef, undef, $body ]),
                 401, qr/\S/, 'taken away');
        is_plain($any->()->trigger($body, auth => { body_md5 => $_ }), 401,
                 qr/\S/, defined $_ ? "body_md5 $_" : 'without body_md5')
            for undef, '', 'x', md5_hex(''), substr(md5_hex($body), 1),
                md5_hex($body) . '0';
        $t->nothing('P83: nothing is published', $ws);

        is_ok($any->()->trigger($body), {}, 'as it was signed');
        is_event($ws->next_event, 'e', $channel, 'd', 'published');

        # not the signer's mistake, but its request
        is_plain($any->()->trigger(''), 400, qr/\S/, 'no body at all');
        is_plain($any->()->trigger('', auth => { body_md5 => md5_hex('') }),
                 400, qr/\S/, 'none, with its MD5');
    };


    subtest 'P84: a GET with the MD5 of nothing' => sub {
        is_ok($any->()->get('channels', [ filter_by_prefix => 'none-' ],
                            auth => { body_md5 => md5_hex('') }),
              { channels => {} }, 'accepted');
        is_plain($any->()->get('channels', [],
                               auth => { body_md5 => md5_hex('x') }), 401,
                 qr/\S/, 'but no other');
        is_ok($any->()->get('channels', [ filter_by_prefix => 'none-' ],
                            headers => { 'Content-Type' =>
                                         'application/json' }),
              { channels => {} }, 'with a Content-Type');
    };


    subtest 'several keys of an app' => sub {
        my @keys = ([ 'new-key', 'new-secret' ], [ 'old-key', 'old-secret' ]);

        for (@keys) {
            my ($key, $secret) = @$_;
            my $channel = fresh('private-');
            my $ws = $t->ws_of($key);

            for (@keys) {
                my $name = fresh('private-');

                subscribe_to($ws, $name, key => $_->[0], secret => $_->[1]);
                ok(1, "$key connects, $_->[0] signs");
            }

            send_subscribe($ws, $channel, key => 'new-key',
                           secret => 'old-secret');
            is_refused($ws, $channel, qr/\S/, "$key: a pair that is none");
            subscribe_to($ws, $channel, key => $key, secret => $secret);

            for (@keys) {
                my $api = $any->(app => 6, key => $_->[0],
                                 secret => $_->[1]);

                is_ok($api->trigger({ name => 'e', channel => $channel,
                                      data => $_->[0] }), {},
                      "$_->[0] triggers");
                is_event($ws->next_event, 'e', $channel, $_->[0],
                         "$key: hears it");
            }

            is(signin($ws, { id => fresh('u') }, key => $key,
                      secret => $secret)->{event}, 'pusher:signin_success',
               "$key signs in");
        }

        is_plain($any->(app => 6, key => 'new-key', secret => 'old-secret')
                     ->get('channels'), 401, qr/^Invalid signature: /,
                 'a pair that is none');
    };


    subtest 'under a prefix' => sub {
        my $ws = $t->ws;
        my $channel = fresh('x');
        my $api = $any->(prefix => '/deep/er');

        subscribe_to($ws, $channel);
        is_ok($api->trigger({ name => 'e', channel => $channel, data => 'd' }),
              {}, 'a trigger');
        is_event($ws->next_event, 'e', $channel, 'd', 'arrives');
        is_ok(channel_of($api, $channel), { occupied => JSON::PP::true() },
              'a query');

        # with it signed, or without, as PHP's option "path" does
        is_ok($api->get('channels', [ filter_by_prefix => 'none-' ],
                        sign => [ undef, '/apps/' . APP_ID . '/channels' ]),
              { channels => {} }, 'which need not be signed');
        is_plain($api->get('channels', [], sign => [ undef,
                     "$_/apps/" . APP_ID . '/channels' ]), 401,
                 qr/^Invalid signature: /, "nor can it be '$_'")
            for '/other', '/er', '/deep', 'er', '/deep/er/';
        is_ok($api->terminate(fresh('u')), {}, 'a user');
        is_ok($api->post('/deep/er/users/nobody/terminate_connections', '{}'),
              {}, "Python's way");
    };
}


sub publishing {
    my ($t, $any) = @_;


    subtest 'P85: channel and channels' => sub {
        my @c = map { fresh('c') } 1 .. 3;
        my @ws = $t->spread(4);

        for my $ws (@ws) { subscribe_to($ws, $_) for @c }

        my $all = sub {
            my ($name, $data, @channels) = @_;

            for my $ws (@ws) {
                my %got = map { $_->{channel} => $_ }
                          map { $ws->next_event } @channels;

                is_event($got{$_}, 'e', $_, $data, "$name: $_") for @channels;
            }

            $t->nothing("$name: once, and that is all", @ws);
        };

        my @cases = (
            [ 'channel', [ $c[0] ], channel => $c[0] ],
            [ 'channels, one', [ $c[1] ], channels => [ $c[1] ] ],
            [ 'channels', \@c, channels => \@c ],
            [ 'both', \@c, channel => $c[1], channels => [ @c[0, 2] ] ],
            [ 'doubles', [ @c[0, 1] ], channel => $c[0],
              channels => [ @c[0, 1, 0, 1, 1] ] ],
            [ 'null for one of them', [ $c[0] ], channel => undef,
              channels => [ $c[0] ] ],
            [ 'null for the other', [ $c[0] ], channel => $c[0],
              channels => undef ],
            [ 'members unknown', [ $c[2] ], channel => $c[2], x => [ {} ],
              auth => 'x' ],
        );

        for (@cases) {
            my ($name, $want, %event) = @$_;
            my $data = fresh('data ');
            my $res = $any->()->trigger({ name => 'e', data => $data,
                                          %event });

            is_ok($res, {}, $name);
            is($res->{body}, '{}', "$name: {}");
            $all->($name, $data, @$want);
        }

        my @many = map { fresh('many-') } 1 .. 100;
        my $ws = $ws[-1];

        subscribe_to($ws, $_) for @many;
        is_ok($any->()->trigger({ name => 'e', data => 'x',
                                  channels => \@many }), {}, '100 channels');
        is(join(' ', sort map { $ws->next_event->{channel} } @many), "@many",
           'each of them');

        is_ok($any->()->trigger({ name => 'e', data => 'x',
                                  channel => fresh('nobody') }), {},
              'a channel that nobody listens to');
        $t->nothing('that is all', @ws);
    };


    subtest 'P30 P31 P32: events as they were triggered' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = 'a_-=@,.;Z0' . fresh('x');

        subscribe_to($_, $c) for $ws, $other;

        for my $data ('plain', '', '{"x":1}', '"a string"', 'null', ' ',
                      "\"\\\n\r\t\x{2028}\x{1f600}\0\x{7f}\x{e9}", 'x' x 9000,
                      "\x{1f600}" x 2000)
        {
            my $name = substr $data, 0, 20;

            is_ok($any->()->trigger({ name => "n\x{e9}w \"1\"", channel => $c,
                                      data => $data }), {}, "P32: $name");
            is_event($_->next_event, "n\x{e9}w \"1\"", $c, $data,
                     "P28 P30 P31 P32: $name") for $ws, $other;
        }

        my $bytes = "{\"name\":\"e\",\"channel\":\"$c\",\"data\":"
                    . '"\u0041\u00e9\ud83d\ude00\u0000\/\b"}';

        is_ok($any->()->trigger($bytes), {}, 'P32: escapes');
        is_event($_->next_event, 'e', $c, "A\x{e9}\x{1f600}\0/\b", 'P32: read')
            for $ws, $other;
    };


    subtest 'P86: socket_id' => sub {
        my ($a, $b, $c) = $t->spread(3);
        my $channel = fresh('c');

        subscribe_to($_, $channel) for $a, $b, $c;

        my $to = sub {
            my ($id, $name, @get) = @_;

            for my $way ('trigger', 'batch') {
                my %event = (name => 'e', channel => $channel,
                             data => fresh('d'), socket_id => $id);

                is_ok($any->()->$way($way eq 'batch' ? [ \%event ] : \%event),
                      {}, "$name, $way");
                is_event($_->next_event, 'e', $channel, $event{data}, $name)
                    for @get;
            }

            $t->nothing("$name: nobody else", $a, $b, $c);
        };

        $to->($a->socket_id, 'one is left out', $b, $c);
        $to->($c->socket_id, 'another one', $a, $b);
        $to->('9999999.1', 'an unknown one', $a, $b, $c);
        $to->(undef, 'null', $a, $b, $c);

        # of another app: not ours, though of that name
        my $theirs = $t->ws_of('other-key');
        $to->($theirs->socket_id, "another app's", $a, $b, $c);
    };


    subtest 'P87 P96: info' => sub {
        my @ws = $t->spread(4);
        my ($room, $c, $none) = (fresh('presence-'), fresh('c'), fresh('n'));
        my $empty = fresh('presence-');
        my $private = fresh('private-');

        subscribe_to($_, $c) for @ws[0 .. 2];
        subscribe_to($ws[3], $private);
        # three sockets of two users
        join_presence($ws[0], $room, 'ann');
        join_presence($ws[1], $room, 'bob');
        join_presence($ws[2], $room, 'ann');
        $t->fence(@ws);

        my @all = ($room, $c, $none, $empty, $private);
        my $both = { $room => { user_count => 2, subscription_count => 3 },
                     $c => { subscription_count => 3 },
                     $none => { subscription_count => 0 },
                     $empty => { user_count => 0, subscription_count => 0 },
                     $private => { subscription_count => 1 } };
        my %want = (
            'user_count,subscription_count' => $both,
            'subscription_count,user_count' => $both,
            ' subscription_count , user_count,' => $both,
            'user_count' => { map { $_ => /^presence-/
                ? { user_count => $both->{$_}{user_count} } : {} } @all },
            'subscription_count' => { map { $_ =>
                { subscription_count => $both->{$_}{subscription_count} } }
                                      @all },
        );

        for my $info (sort keys %want) {
            my $res = $any->()->trigger({ name => 'e', channels => \@all,
                                          data => '', info => $info });

            is_ok($res, { channels => $want{$info} }, "P87: info=$info");
            has_numbers($res, "P87: info=$info");
        }

        my $res = $any->()->trigger({ name => 'e', channel => $c, data => '',
                                      info => undef });
        is($res->{body}, '{}', 'info null');
        $t->fence(@ws);

        # hosted Pusher refuses it so, by the tests of its SDK for .NET
        my $list = qr/^info should be a comma separated list of attributes$/;

        for my $info ('nonsense', 'subscription_count,nonsense') {
            is_plain($any->()->trigger({ name => 'e', channel => $c,
                                         data => '', info => $info }),
                     400, $list, "trigger, info=$info");
            is_plain($any->()->batch([ { name => 'e', channel => $c,
                                         data => '' },
                                       { name => 'e', channel => $c,
                                         data => '', info => $info } ]),
                     400, $list, "batch, info=$info");
            is_plain($any->()->get('channels', [ info => $info ]), 400,
                     $list, "channels, info=$info");
            is_plain(channel_of($any->(), $c, $info), 400, $list,
                     "channel, info=$info");
        }

        is_deeply([ $t->fence(@ws) ], [ map { [] } @ws ],
                  'nothing of it was sent');

        # P96, from the other side
        my $api = $any->();
        is_ok(channel_of($api, $room, 'user_count'),
              { occupied => JSON::PP::true(), user_count => 2 },
              'P96: user_count counts users');
        is_ok(channel_of($api, $room, 'user_count,subscription_count'),
              { occupied => JSON::PP::true(), user_count => 2,
                subscription_count => 3 },
              'P96: subscription_count counts sockets');

        # who leaves
        $ws[2]->unsubscribe($_) for $c, $room;
        $t->fence($ws[2]);
        $res = $any->()->trigger({ name => 'e', channels => [ $room, $c ],
            data => '', info => 'user_count,subscription_count' });
        is_ok($res, { channels => { $room => { user_count => 2,
                                               subscription_count => 2 },
                                    $c => { subscription_count => 2 } } },
              'P96: one socket of a user leaves');

        $ws[0]->unsubscribe($room);
        $t->fence($ws[0]);
        is_ok(channel_of($any->(), $room, 'user_count'),
              { occupied => JSON::PP::true(), user_count => 1 },
              'P96: and the other one');
    };


    subtest 'P88: batches' => sub {
        my ($ws, $other) = $t->spread(2);
        my ($a, $b, $room) = (fresh('a'), fresh('b'), fresh('presence-'));

        for my $s ($ws, $other) { subscribe_to($s, $_) for $a, $b }
        join_presence($ws, $room, 'u');

        my $e = sub { return { name => 'e', channel => $_[0], data => $_[1],
                               @_[2 .. $#_] } };
        my $info = 'user_count,subscription_count';
        my $res = $any->()->batch([ $e->($a, 1 . ''), $e->($b, '2'),
                                    $e->($room, '3'), $e->($a, '4') ]);

        is_ok($res, {}, 'without info');
        is($res->{body}, '{}', 'P88: {} where none asks');
        is(join(' ', map { "$_->{channel}:$_->{data}" }
                     map { $ws->next_event } 1 .. 4),
           "$a:1 $b:2 $room:3 $a:4", 'all, in order');
        is(join(' ', map { "$_->{channel}:$_->{data}" }
                     map { $other->next_event } 1 .. 3),
           "$a:1 $b:2 $a:4", 'to each their own');

        $res = $any->()->batch([ $e->($a, 'x', info => $info), $e->($b, 'x'),
            $e->($room, 'x', info => $info),
            $e->($a, 'x', info => 'user_count'),
            $e->($room, 'x', info => 'subscription_count'),
            $e->($b, 'x', info => 'subscription_count') ]);
        is_ok($res, { batch => [ { subscription_count => 2 }, {},
                                 { user_count => 1, subscription_count => 1 },
                                 {}, { subscription_count => 1 },
                                 { subscription_count => 2 } ] },
              'P88: aligned by index');
        has_numbers($res, 'P88');
        $t->fence($ws, $other);

        my @ten = map { $e->($a, "$_", socket_id => $_ % 2 ? $ws->socket_id
                                                           : undef) } 1 .. 10;
        is_ok($any->()->batch(\@ten), {}, 'ten');
        is(join(' ', map { $ws->next_event->{data} } 1 .. 5), '2 4 6 8 10',
           'P86: each with its socket_id');
        is(join(' ', map { $other->next_event->{data} } 1 .. 10),
           '1 2 3 4 5 6 7 8 9 10', 'the other one gets ten');
        $t->nothing('that is all', $ws, $other);
    };


    subtest 'P39: encrypted' => sub {
        my $ws = $t->ws;
        my $c = fresh('private-encrypted-');
        my $data = '{"nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",'
                   . '"ciphertext":"c2VjcmV0+/=="}';

        subscribe_to($ws, $c);
        is_ok($any->()->trigger({ name => 'e', channels => [ $c ],
                                  data => $data }), {}, 'triggered');
        is_event($ws->next_event, 'e', $c, $data, 'P39: untouched');
    };


    subtest 'P72: to a user' => sub {
        my $u = fresh('user');
        my @mine = $t->spread(4);
        my $other = $t->ws;
        my %event = (name => 'e', data => 'd', channel => "#server-to-user-$u");

        signin($_, { id => $u }) for @mine;
        signin($other, { id => "${u}x" });

        is_ok($any->()->trigger(\%event), {}, 'a trigger');
        is_event($_->next_event, 'e', $event{channel}, 'd', 'P72') for @mine;
        is_ok($any->()->batch([ \%event, \%event ]), {}, 'a batch');
        $_->next_event && is_event($_->next_event, 'e', $event{channel}, 'd',
                                   'P72: of a batch') for @mine;
        is_ok($any->(%other)->trigger(\%event), {}, "another app's");
        $t->nothing('P72: nobody else, once each', @mine, $other);
    };


    subtest 'P53 P54 P59: cache channels' => sub {
        for my $prefix ('cache-', 'private-cache-', 'presence-cache-',
                        'private-encrypted-cache-')
        {
            my $ws = $t->ws;
            my $c = fresh($prefix);

            is_ok(channel_of($any->(), $c, 'cache'),
                  { occupied => JSON::PP::false(), cache => undef },
                  "P59: $prefix: null");
            is_ok($any->()->trigger({ name => 'e', channel => $c,
                                      data => "{\"x\":\"\x{e9}\"}",
                                      socket_id => $ws->socket_id }), {},
                  'triggered');

            my $res = channel_of($any->(), $c, 'cache');
            my $ttl = eval { from_json($res->{body})->{cache}{ttl} };

            is_ok($res, { occupied => JSON::PP::false(),
                          cache => { data => "{\"x\":\"\x{e9}\"}",
                                     ttl => $ttl } }, "P59: $prefix: data");
            has_numbers($res, 'P59');
            ok(defined $ttl && $ttl > 1700 && $ttl <= 1800, 'P59: its ttl');

            send_subscribe($ws, $c, $prefix =~ /^presence/
                                    ? (data => '{"user_id":"1"}') : ());
            is($ws->next_event->{event},
               'pusher_internal:subscription_succeeded', 'subscribed');
            is_event($ws->next_event, 'e', $c, "{\"x\":\"\x{e9}\"}",
                     "P53 P54: $prefix");
        }

        is_plain(channel_of($any->(), $_, 'cache'), 400, qr/\S/,
                 "P59: $_ is no cache channel")
            for 'x', 'private-x', 'presence-x', 'my-cache-x';
    };


    subtest 'events of one channel (deprecated)' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = fresh('private-');

        subscribe_to($_, $c) for $ws, $other;

        for my $data ('raw', '{"x":1}', '') {
            my $res = $any->()->post("channels/$c/events", $data,
                                     query => [ name => 'e f' ]);

            is_ok($res, {}, "raw data '$data'", 202);
            is_event($_->next_event, 'e f', $c, $data, "as it was sent")
                for $ws, $other;
        }

        is_ok($any->()->post("channels/$c/events", 'x', query => [
                  name => 'e', socket_id => $ws->socket_id ]), {},
              'socket_id', 202);
        is_event($other->next_event, 'e', $c, 'x', 'to the other one');
        $t->nothing('not to this one', $ws, $other);

        is_plain($any->()->post("channels/$c/events", 'x'), 400, qr/\S/,
                 'without a name');
        is_plain($any->()->post("channels/a%20b/events", 'x',
                                query => [ name => 'e' ]), 400, qr/\S/,
                 'a bad name of a channel');
        is_plain($any->()->post("channels/$c/events", 'x',
                     query => [ name => 'e', socket_id => 'x' ]), 400, qr/\S/,
                 'a bad socket_id');
    };
}


sub queries {
    my ($t, $any) = @_;

    my %list = (app => 5, key => 'list-key', secret => 'list-secret');
    my $yes = JSON::PP::true();
    my $no = JSON::PP::false();
    my $list = sub {
        my (@query) = @_;

        return $any->(%list)->get('channels', \@query);
    };


    subtest 'P91 P92: GET channels' => sub {
        is($list->()->{body}, '{"channels":{}}', 'P91: none');
        is($list->(filter_by_prefix => 'presence-', info => 'user_count')
               ->{body}, '{"channels":{}}', 'P91: none of a kind');

        my @ws = map { $t->ws_of('list-key') } 1 .. 6;
        my @sign = (key => 'list-key', secret => 'list-secret');
        my @one = ('a', 'a@b,c;d', 'private-a', 'private-encrypted-a',
                   'cache-a', 'private-cache-a', 'presencefoo');

        for (@one) {
            subscribe_to($ws[0], $_, @sign);
            $ws[0]->next_event if /cache-/;        # a miss
        }

        subscribe_to($ws[1], 'a');
        join_presence($ws[2], 'presence-a', 'ann', undef, @sign);
        join_presence($ws[3], 'presence-a', 'ann', undef, @sign);
        join_presence($ws[4], 'presence-a', 'bob', undef, @sign);
        join_presence($ws[4], 'presence-b', 'bob', undef, @sign);
        signin($ws[5], { id => 'bob' }, @sign);
        subscribe_to($ws[5], '#server-to-user-bob', auth => '');

        my %all = map { $_ => {} } @one, 'presence-a', 'presence-b';

        is_ok($list->(), { channels => \%all }, 'P91: the occupied ones');
        is_ok($list->(filter_by_prefix => ''), { channels => \%all },
              'P92: an empty prefix');
        is_ok($list->(filter_by_prefix => 'private-'),
              { channels => { map { $_ => {} } grep { /^private-/ } @one } },
              'P92: by prefix');
        is_ok($list->(filter_by_prefix => 'a@'),
              { channels => { 'a@b,c;d' => {} } }, 'P92: any prefix');
        is_ok($list->(filter_by_prefix => $_), { channels => {} },
              "P92: prefix $_")
            for 'none', 'A', 'a b', '#', '#server-to-user-', '!', "\x{e9}",
                'x' x 300;

        my $res = $list->(filter_by_prefix => 'presence-',
                          info => 'user_count');
        is_ok($res, { channels => { 'presence-a' => { user_count => 2 },
                                    'presence-b' => { user_count => 1 } } },
              'P92: user_count');
        has_numbers($res, 'P92');
        is_ok($list->(filter_by_prefix => 'presence-b', info => 'user_count'),
              { channels => { 'presence-b' => { user_count => 1 } } },
              'P92: of one');

        is_plain($list->(info => 'user_count', @$_), 400,
                 qr/^user_count may only be requested for presence channels/,
                 "P92: user_count of all (@$_)")
            for [], [ filter_by_prefix => '' ],
                [ filter_by_prefix => 'presence' ],
                [ filter_by_prefix => 'private-' ],
                [ filter_by_prefix => 'x-presence-' ];

        my %counts = map { $_ => { subscription_count => 1 } } keys %all;
        $counts{a} = { subscription_count => 2 };
        $counts{'presence-a'} = { subscription_count => 3 };
        $res = $list->(info => 'subscription_count');
        is_ok($res, { channels => \%counts }, 'subscription_count');
        has_numbers($res, 'subscription_count');

        $ws[0]->unsubscribe($_) for @one;
        ok($ws[0]->nothing_waits, 'nothing has come');
        is_ok($list->(filter_by_prefix => 'a'), { channels => { a => {} } },
              'P91: without those that are left');

        $t->close_all(@ws);
        ok(wait_for(5, sub { $list->()->{body} eq '{"channels":{}}' }),
           'P91: none again');
    };


    subtest 'P93 P94: GET channels/NAME' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = 'a_-=@,.;Z0' . fresh('x');
        my $none = fresh('none');
        my $room = fresh('presence-');

        subscribe_to($_, $c) for $ws, $other;

        is_ok(channel_of($any->(), $c), { occupied => $yes }, 'P28: occupied');
        is_ok($any->()->get("channels/$c"), { occupied => $yes },
              'its name as it is');
        is_ok($any->()->get('channels/' . $c =~ s/(.)/sprintf '%%%02x',
                                                      ord $1/ger),
              { occupied => $yes }, 'each byte of it escaped');
        is(channel_of($any->(), $none)->{body}, '{"occupied":false}', 'P93');
        is_ok(channel_of($any->(), $none, 'subscription_count'),
              { occupied => $no, subscription_count => 0 }, 'P93: zero');
        is_ok(channel_of($any->(), $room, 'user_count,subscription_count'),
              { occupied => $no, user_count => 0, subscription_count => 0 },
              'P93: of a presence channel');
        is_ok(channel_of($any->(), $c, 'occupied,subscription_count'),
              { occupied => $yes, subscription_count => 2 }, 'counted');
        is_ok(channel_of($any->(), $c, ''), { occupied => $yes },
              'an empty info');
        is_ok(channel_of($any->(%other), $c), { occupied => $no },
              'not of another app');

        for my $name ($c, $none, 'private-x', 'presencefoo', 'cache-x') {
            is_plain(channel_of($any->(), $name, $_), 400,
                     qr/^Cannot retrieve the user count unless the channel /,
                     "P94: $name, $_")
                for 'user_count', 'subscription_count,user_count';
        }

        is_plain(channel_of($any->(), $_), 400, qr/\S/, 'P27: ' . substr $_,
                                                        0, 20)
            for 'a b', 'a:b', "\x{e9}", 'x' x 201, 'a/b', "a\tb";

        $_->unsubscribe($c) for $ws, $other;
        $t->fence($ws, $other);
        is_ok(channel_of($any->(), $c), { occupied => $no }, 'P93: left');
    };


    subtest 'P95: GET channels/NAME/users' => sub {
        my @ws = $t->spread(4);
        my $room = fresh('presence-');
        my $api = $any->();
        my $users = sub {
            my $res = $any->()->get("channels/$room/users");
            my $body = eval { from_json($res->{body}) } || {};

            $body->{users} = [ sort { $a->{id} cmp $b->{id} }
                               @{ $body->{users} || [] } ];
            $res->{body} = Chat::HTTP::json_bytes($body);

            return $res;
        };

        is($any->()->get("channels/$room/users")->{body}, '{"users":[]}',
           'P95: nobody');

        join_presence($ws[0], $room, 7);            # P42
        join_presence($ws[1], $room, '9', { name => 'Nine' });
        join_presence($ws[2], $room, "\x{e9}\x{1f600}\"\\/");
        join_presence($ws[3], $room, '9');
        $t->fence(@ws);

        my $want = { users => [ { id => '7' }, { id => '9' },
                                { id => "\x{e9}\x{1f600}\"\\/" } ] };

        is_ok($users->(), $want, 'P42 P95: users');
        unlike($any->()->get("channels/$room/users")->{body}, qr/"id":[^"]/,
               'P42 P95: string ids');
        is_ok($any->()->get('channels/' . escape($room) . '/users',
                            [ more => 1 ])->{status} == 200
              ? $users->() : { status => 0, body => '' }, $want,
              'further parameters are ignored');

        $ws[1]->unsubscribe($room);
        $t->fence($ws[1]);
        is_ok($users->(), $want, 'P95: one of two sockets leaves');
        $ws[3]->unsubscribe($room);
        $t->fence($ws[3]);
        splice @{$want->{users}}, 1, 1;
        is_ok($users->(), $want, 'P95: and the other');

        is_plain($api->get("channels/$_/users"), 400, qr/\S/,
                 "P95: $_ has none")
            for 'x', 'private-x', 'presencefoo', 'cache-x', 'a%20b';
    };


    subtest 'GET channels/NAME/stats (deprecated)' => sub {
        my @ws = $t->spread(3);
        my ($c, $room) = (fresh('c'), fresh('presence-'));

        subscribe_to($_, $c) for @ws[0, 1];
        join_presence($ws[$_], $room, $_ < 2 ? 'a' : 'b') for 0 .. 2;
        $t->fence(@ws);

        my $res = $any->()->get("channels/$room/stats");

        is_ok($res, { occupied => $yes, user_count => 2,
                      connection_count => 3 }, 'of a presence channel');
        has_numbers($res, 'stats');
        $res = $any->()->get("channels/$c/stats");
        is($res->{status}, 200, 'of another');
        is(from_json($res->{body})->{connection_count}, 2, 'counted');
        ok(from_json($res->{body})->{occupied}, 'occupied');
        $res = $any->()->get('channels/' . fresh('none') . '/stats');
        is(from_json($res->{body})->{connection_count}, 0, 'of none');
        ok(!from_json($res->{body})->{occupied}, 'not occupied');
    };
}


sub users {
    my ($t, $any) = @_;

    # a worker sends 64 away in a turn of its event loop

    subtest 'P77: many connections' => sub {
        my @mine = $t->spread(200);
        my $u = fresh('many');

        signin($_, { id => $u }) for @mine;
        is_ok($any->()->terminate($u), {}, '200 connections');

        my %codes;
        $codes{$_->wait_close}++ for @mine;

        is_deeply(\%codes, { 4009 => 200 }, 'all are sent away');
    };

    my %way = (
        'P77: terminate_connections' => sub {
            my ($id, %o) = @_;
            return $any->(%o)->terminate($id);
        },
        'P97: the same, as Python sends it' => sub {
            my ($id, %o) = @_;
            return $any->(%o)->post('/users/' . escape($id)
                                    . '/terminate_connections', '{}');
        },
    );

    for my $name (sort keys %way) {
        my $terminate = $way{$name};

        subtest $name => sub {
            my $u = fresh('a_b-c=d@e,f.g;h');
            my $room = fresh('presence-');
            my @mine = $t->spread(4);
            my ($present, $other, $anon) = $t->spread(3);
            my $theirs = $t->ws_of('other-key');

            is(signin($_, { id => $u })->{event}, 'pusher:signin_success',
               'signed in') for @mine;
            signin($other, { id => "${u}x" });
            signin($theirs, { id => $u }, %other);
            join_presence($present, $room, $u);
            join_presence($mine[0], $room, $u);
            $t->fence($present);

            is_ok($terminate->(fresh('nobody')), {}, 'nobody');
            $t->nothing('nobody is sent away', @mine, $other, $present);

            is_ok($terminate->($u), {}, $name);
            is_fatal($_, 4009, $name) for @mine;
            $t->nothing("$name: members of that id, other users and those of"
                        . ' other apps stay', $present, $other, $anon);
            ok($theirs->nothing_waits, "$name: theirs, too");
            is_ok($any->()->get("channels/$room/users"),
                  { users => [ { id => $u } ] }, "$name: a member stays");

            is_ok($terminate->($u), {}, 'again');

            my $again = $t->ws;
            is(signin($again, { id => $u })->{event}, 'pusher:signin_success',
               "$name: it may come again");
            $t->nothing('and stays', $again);

            is_ok($terminate->($u, %other), {}, "another app's");
            is_fatal($theirs, 4009, 'is sent away now');
            $t->nothing('ours stay', $again);
        };
    }


    subtest 'P77 P97: refused' => sub {
        my $ws = $t->ws;
        my $u = fresh('u');
        my $python = "/users/$u/terminate_connections";

        signin($ws, { id => $u });

        is_plain($any->(key => 'nobody')->post($python, '{}'), 401,
                 qr/^Unknown auth_key$/, 'P97: an unknown key');
        is_plain($any->()->post($python, '{}', auth => { auth_key => undef }),
                 401, qr/^Missing parameter: auth_key$/, 'P97: no key');
        is_plain($any->(secret => 'another-secret')->post($python, '{}'), 401,
                 qr/^Invalid signature: /, 'P97: another secret');
        is_plain($any->()->post($python, '{}', sign => [ undef, '/apps/'
                     . APP_ID . $python ]), 401, qr/^Invalid signature: /,
                 'P97: signed for the other path');
        is_plain($any->(secret => 'another-secret')->terminate($u), 401,
                 qr/^Invalid signature: /, 'P77: another secret');
        is_plain($any->()->get("users/$u/terminate_connections"), 405, qr/\S/,
                 'P77: GET');
        is_plain($any->()->get($python), 405, qr/\S/, 'P97: GET');
        $t->nothing('nobody is sent away', $ws);

        is_ok($any->()->post("users/$u/terminate_connections", undef), {},
              'without a body');
        is_fatal($ws, 4009, 'sent away');
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, apps => <<'APPS',
    chat_app 3 {
        key 278d425bdf160c739803; secret 7ad3773142a6692b25b8;
        timestamp_window 60y;
    }
    chat_app 6 {
        key new-key; secret new-secret;
        key old-key; secret old-secret;
    }
    chat_app 4 { key off-key; secret off-secret; enabled off; }
    chat_app 5 { key list-key; secret list-secret; }
    chat_app 7 { key short-key; secret short-secret; timestamp_window 10s; }
    chat_app 42 {
        key app-key-1; secret app-secret-1;
        timestamp_window 60y;
    }
APPS
        more => <<'LOCATIONS');
        location /apps/ { chat_api; }
        location /users/ { chat_api; }
        location /deep/er/apps/ { chat_api; }
        location /deep/er/users/ { chat_api; }
LOCATIONS

    my @apis = Chat::API->spread($t);
    my $turn = 0;

    # a client of the next worker's, perhaps for another app
    my $any = sub {
        my (%args) = @_;
        my $api = $apis[ $turn++ % @apis ];

        return Chat::API->new(http => $api->http, %args);
    };

    subtest "$workers workers" => sub {
        vectors($t, $any);
        signing($t, $any);
        publishing($t, $any);
        queries($t, $any);
        users($t, $any);
    };

    $t->finish;
}

done_testing();
