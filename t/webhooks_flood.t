# Webhooks and more than there is room for: a ring that was written over before
# its records were read, more events than an outbox takes, floods of events
# and channels, and names, users and data of every kind.  Memory stays, and the
# receiver's books are right, or the log says what is missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Encode ();
use JSON::PP ();
use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json);
use Chat::Locker;
use Chat::Pusher qw(subscribe_to join_presence client_event send_subscribe);
use Chat::Receiver;
use Chat::Server qw(SCALE wait_for slurp stop_worker APP_ID);

use constant {
    QUEUED => 100_000,          # rows of a webhook that wait
    DEAD   => 10_000,           # and that were given up
    # a worker's memory may grow so much; ASan keeps back what is freed, 256 MB,
    # and wants as much for the many small pieces of a flood
    SLACK  => ($ENV{CHAT_ASAN} ? 700 : 12) * 1024 * 1024,
};

my $id = APP_ID;

sub receiver {
    my ($name) = @_;

    return Chat::Receiver->new(name => $name);
}


sub start {
    my ($hooks, %args) = @_;

    return Chat::Pusher->new(workers => 2, app => "client_events on;\n$hooks",
        more => "location /apps/ { chat_api; }\n"
                . "location /console/ { chat_console; }\n", %args);
}


# The herald is the worker that has libcurl.  Returns code that tells by how
# many bytes it has grown since.

sub herald {
    my ($t) = @_;

    my $server = $t->server;
    my ($pid) = $server->senders;
    my $memory = $server->worker_memory($pid);

    return sub {
        my $grown = $server->worker_memory($pid) - $memory;

        note("the herald's memory has grown by $grown bytes");
        return $grown;
    };
}


# What a receiver believes that has only its webhooks: channels and members.

sub books {
    my ($r) = @_;

    my %books;

    for my $e ($r->events) {
        my $key = join ' ', grep { defined } @$e{qw(channel user_id)};

        $books{$key} = 1    if $e->{name} =~ /^(?:channel_occ|member_added)/;
        delete $books{$key} if $e->{name} =~ /^(?:channel_vac|member_removed)/;
    }

    return join "\n", sort keys %books;
}


# The same by the HTTP API.

sub truth {
    my ($t) = @_;

    my $api = Chat::API->new(port => $t->port);
    my $list = from_json($api->get('channels')->{body})->{channels};
    my @all = keys %$list;

    for my $channel (grep { /^presence-/ } keys %$list) {
        my $users = from_json($api->get("channels/$channel/users")->{body});
        push @all, map { "$channel $_->{id}" } @{ $users->{users} };
    }

    return join "\n", sort @all;
}


# A first overrun while the database is locked.  A second one at the end of all,
# while the herald's process stands: by then nothing but the overrun itself
# would have it compare its books.

my $overrun = receiver('overrun');
my $overrun_t = start("webhook @{[$overrun->url]} events=channel_occupied,"
                      . 'channel_vacated,member_added,member_removed,'
                      . 'client_event;', zone => '1m');
my @overrun_ws;


# Half of the zone is the ring.

sub overruns {
    my ($api, $name) = @_;

    my %status;

    $status{ $api->trigger({ name => 'e', channel => 'flood',
                             data => $_ . 'x' x 9000 })->{status} }++
        for 1 .. 80;

    is_deeply(\%status, { 200 => 80 }, "$name: events are taken meanwhile");
}


sub agrees {
    my ($there, $name, $times) = @_;

    ok(wait_for(20, sub { books($overrun) eq truth($overrun_t) }),
       "$name: the books become right")
        or diag(books($overrun) . "\n--\n" . truth($overrun_t));
    is(truth($overrun_t), join("\n", sort @$there), "$name: these are there");
    is($overrun->faults(qr/channel|member/), '', "$name: nothing comes twice");
    is(scalar(() = $overrun_t->server->error_log
                   =~ /\[error\].*chat webhooks were overrun by events/g),
       $times, "$name: it is logged");
}


subtest 'the ring is written over while the database is locked' => sub {
    my ($r, $t) = ($overrun, $overrun_t);
    my ($ann, $bob, $carl, $dora) = map { $t->ws } 1 .. 4;
    my $locker = Chat::Locker->new($t->server->database);

    @overrun_ws = ($ann, $carl, $dora);
    subscribe_to($ann, $_) for 'a-stays', 'a-left';
    join_presence($ann, 'presence-a', 'ann');
    join_presence($bob, 'presence-a', 'bob');
    $r->wait_texts(5);

    $locker->lock;
    $ann->unsubscribe('a-left');
    $bob->disconnect;
    subscribe_to($dora, 'a-new');
    join_presence($carl, 'presence-a', 'carl');
    client_event($carl, 'presence-a', 'client-x', 'is lost');
    overruns(Chat::API->new(port => $t->port), 'locked');

    # the herald has not begun to read what comes behind
    subscribe_to($dora, 'a-behind');
    $locker->unlock;

    agrees([ qw(a-behind a-new a-stays presence-a), 'presence-a ann',
             'presence-a carl' ], 'locked', 1);
    is(($t->server->incident('ring_overrun') || {})->{detail}, 'webhooks',
       'and the console tells it');

    # all goes on
    client_event($carl, 'presence-a', 'client-x', 'afterwards');
    subscribe_to($dora, 'a-last');
    $r->wait_texts(1, qr/a-last/);
    is((grep { $_->{name} eq 'client_event' } $r->events)[-1]{data},
       'afterwards', 'and then no event is lost');
    is($locker->finish, 0, 'sqlite3 ended well');
};


sub counts {
    my ($t) = @_;

    my ($hook) = $t->webhooks;

    return "$hook->{queued} $hook->{dead}";
}


subtest 'more events wait than an outbox takes' => sub {
    my $r = receiver('outbox');
    my $t = start("webhook @{[$r->url]} retry=1d;");
    my $server = $t->server;
    my $ws = $t->ws;
    my $n = 0;

    # the first one is tried, again and again
    $r->answer(500);
    subscribe_to($ws, 'a-first');
    ok(wait_for(10, sub { $r->requests }), 'one is tried');

    my $grown = herald($t);

    # rows as they would be, in no time
    my $add = sub {
        my ($many) = @_;

        $t->sqlite('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1'
            . " FROM n WHERE i < $many) INSERT INTO webhook_events (app,"
            . ' webhook, created_at, event) SELECT app, webhook, created_at,'
            . " '{\"name\":\"channel_occupied\",\"channel\":\"n-'"
            . " || ($n + i) || '\"}' FROM webhook_events, n"
            . ' WHERE webhook_events.id = 1 ORDER BY i');
        $n += $many;
    };

    $add->(QUEUED + 500);
    ok(wait_for(30, sub { counts($t) eq QUEUED . ' 501' }),
       'the oldest are given up') or diag(counts($t));
    like($server->error_log, qr/\[warn\].*too many events wait, the oldest /,
         'which is logged');
    is($t->status->{webhook_events_given_up}, 501, 'and counted');
    ok(wait_for(10, sub {
           $t->sqlite('SELECT min(id), max(id), count(*), min(error)'
                      . ' FROM webhook_events WHERE dead_at > 0')
           eq '2|502|501|too many events wait'
       }), 'it was these');
    is($t->sqlite('SELECT count(*) FROM webhook_events WHERE batch = 1'), 1,
       'what is being tried stays');
    $t->publish('chat', 'meanwhile');

    $add->(DEAD + 1000);
    ok(wait_for(30, sub { counts($t) eq QUEUED . ' ' . DEAD }),
       'so many of them are kept') or diag(counts($t));
    is($t->status->{webhook_events_given_up}, 501 + DEAD + 1000,
       'all are counted');
    cmp_ok($grown->(), '<', SLACK * SCALE, 'memory stays');
    $t->publish('chat', 'meanwhile');

    # a part of them is enough to see the order
    my $keep = 2000;
    my $first = $t->sqlite('SELECT min(id) FROM webhook_events'
                           . ' WHERE dead_at > 0');
    $t->sqlite('DELETE FROM webhook_events WHERE batch = 0'
               . " AND id >= $first + $keep");
    $r->answer(200);
    $t->http->request('POST', "/console/apps/$id/webhooks/revive",
                      { 'X-Chat-Console' => 1 }, '');
    ok(wait_for(60, sub { counts($t) eq '0 0' }), 'all are sent again')
        or diag(counts($t));

    # rows begin with number 2, events with n-1
    my @told = map { $_->{body} =~ /"n-(\d+)"/g }
               grep { $_->{answer} eq '200' } $r->requests;
    is(join(' ', @told), join(' ', $first - 1 .. $first + $keep - 2),
       'in order, once each');
    is(scalar(grep { !Chat::Receiver::is_signed($_) } $r->requests), 0,
       'and signed');
    $t->finish;
};


# All that a client with the app's key may say.

subtest 'names, users and data of every kind' => sub {
    my $r = receiver('odd');
    my $t = start("subscription_count on; webhook @{[$r->url]}"
        . ' events=channel_occupied,channel_vacated,member_added,cache_miss,'
        . 'member_removed,client_event,message_stored,subscription_count,'
        . 'connection_closed;');
    my $json = JSON::PP->new->allow_nonref;
    my $control = join '', map { chr } 0 .. 0x7f;
    my $odd = "\x{1F600}\x{2028}\x{FEFF}\x{FFFF}\x{10FFFF}e\x{301}"
              . '\u0000"\/';
    my $ws = $t->ws;

    # the longest names, and all characters that they may have
    my @names = map { $_ . ('y' x (200 - length)) } 'public-', 'private-',
                    'presence-', 'cache-', 'private-cache-', 'presence-cache-';
    push @names, 'private-A-z_0=9@,.;', 'a', '__proto__', 'constructor';

    my @users = ($control, $odd, '0', 'null', '__proto__', ' ',
                 "'; DROP TABLE webhook_state; --", "\x{1F600}" x 64,
                 '"' x 128, 'x' x 128);

    for my $name (@names) {
        $name =~ /^presence/ ? join_presence($ws, $name, 'me')
                             : subscribe_to($ws, $name);

        # a count, or a miss, comes behind
        $ws->drain;
    }

    my @ws = map {
        my $one = $t->ws;

        join_presence($one, 'presence-users', $_);
        $one;
    } @users, 7, -1234567890123;

    # data as strings and as JSON, up to the limit
    my @data = ($control, $odd, '', $control x 78,
                "\x{1F600}" x 2500, 'x' x 10000, '"' x 4900, '\\' x 4900,
                { deep => [ map { { $_ => $odd } } 1 .. 50 ] }, [], 0, -1.5,
                JSON::PP::null, JSON::PP::true);

    for my $n (0 .. $#data) {
        # a connection may send ten in a second
        push @ws, $t->ws;
        subscribe_to($ws[-1], "private-data-$n");
        client_event($ws[-1], "private-data-$n", 'client-' . 'n' x 193,
                     $data[$n]);
    }

    # halves of pairs, and escapes that JSON::PP would not write
    my @half = ('\\ud83d', '\\ude00\\ud83d', '\\u0000\\u001f',
                '\\ud83d\\ude00 \\/');

    push @ws, $t->ws;
    subscribe_to($ws[-1], 'private-raw');
    $ws[-1]->send_text('{"event":"client-x","channel":"private-raw","data":"'
                       . $_ . '"}') for @half;

    my $content = "$control$odd" . 'x' x 5000;
    $t->publish('m-odd', $content);

    subscribe_to($ws, 'z-last');
    $r->wait_texts(1, qr/occupied z-last/);
    $r->wait_texts(1, qr/stored m-odd/);

    my @events = $r->events;
    my $find = sub { grep { $_->{name} eq $_[0] } @events };

    is_deeply([ map { $_->{channel} } grep { $_->{channel} !~
                    /^(?:private-data-|private-raw|presence-users|z-last)/ }
                $find->('channel_occupied') ], \@names, 'each name');
    is_deeply([ map { $_->{user_id} } grep { $_->{channel} eq 'presence-users' }
                $find->('member_added') ],
              [ @users, '7', '-1234567890123' ], 'each user');

    my @sent = map { ref || !defined || /^-?\d/ ? $json->canonical->encode($_)
                                                : $_ } @data;
    # each is from a connection of its own: between two there is no order
    my @told = grep { $_->{channel} =~ /^private-data/ } $find->('client_event');
    my %told = map { $_->{channel} => $_->{data} } @told;
    my @got = map { $told{"private-data-$_"} // '' } 0 .. $#sent;
    is(scalar @told, scalar @sent, 'each data');
    is(join(' ', grep { $got[$_] ne $sent[$_] } 0 .. $#sent), '',
       'as it was sent');
    is(scalar(grep { $_->{channel} eq 'private-raw' } $find->('client_event')),
       scalar @half, 'also halves of pairs');
    is($t->status->{webhooks}{dead}, 0, 'nothing is given up');
    is(from_json(Encode::encode('utf8', ($find->('message_stored'))[0]{data}))
           ->{content}, $content, 'a message');
    is($r->faults(qr/^channel|^member/), '',
       'all is JSON, signed, and comes once');

    $_->disconnect for @ws, $ws;
    ok(wait_for(20, sub { books($r) eq '' }), 'all are gone')
        or diag(books($r));
    is($r->faults(qr/^channel|^member/), '', 'and all that is JSON, too');
    $t->finish;
};


subtest 'floods' => sub {
    my $r = receiver('flood');
    my $t = start("webhook @{[$r->url]} events=channel_occupied,"
                  . 'channel_vacated,client_event;', zone => '32m');
    my $server = $t->server;
    my $other = $t->ws;

    subscribe_to($other, 'a-other');
    $r->wait_texts(1);

    my $grown = herald($t);
    my @ws = map { $t->ws } 1 .. 200;

    # each allows ten in a second
    subscribe_to($ws[$_], 'private-' . ($_ % 10)) for 0 .. $#ws;

    my %bytes;

    for my $i (0 .. $#ws) {
        my $channel = 'private-' . $i % 10;

        $bytes{$channel} ||= join '', map {
            Chat::WebSocket->frame(payload => '{"event":"client-x","channel":"'
                . $channel . '","data":"' . 'x' x 400 . "-$_\"}")
        } 1 .. 20;
        $ws[$i]->send_raw($bytes{$channel});
    }

    # channels that come and go at once
    my $many = 3000;
    my $flap = $t->ws;
    my $flaps = join '', map {
        my $channel = "flap-$_";

        map { Chat::WebSocket->frame(payload => '{"event":"pusher:' . $_
                  . '","data":{"channel":"' . $channel . '"}}') }
            qw(subscribe unsubscribe);
    } 1 .. $many;

    $flap->send_raw($flaps);
    $t->publish('chat', 'meanwhile');
    ok($other->nothing_waits, 'others are served');

    # with what it has not read a client would cut off what it has sent
    $_->drain || die 'a client was sent away' for @ws, $flap;
    $_->disconnect for @ws, $flap;
    $other->unsubscribe('a-other');
    subscribe_to($other, 'a-last');

    # reads no JSON: this is a lot
    ok(wait_for(60, sub {
           slurp($r->{log}) =~ /vacated\W+channel\W+a-other/
       }), 'all is read');
    ok(wait_for(60, sub { $t->status->{webhooks}{queued} == 0 }),
       'and all is sent');
    cmp_ok($grown->(), '<', SLACK * SCALE, 'memory stays');

    is($r->faults(qr/^channel/), '', 'nothing comes twice');

    my (%life, %events);

    $life{ $_->{channel} } .= "$_->{name} "
        for grep { $_->{name} =~ /^channel/ } $r->events;
    $events{ $_->{data} }++ for grep { $_->{name} =~ /^client/ } $r->events;

    is(delete $life{'a-last'}, 'channel_occupied ', 'one is there');
    is(scalar(grep { $_ ne 'channel_occupied channel_vacated ' } values %life),
       0, 'each other channel was occupied, then vacated');
    is(scalar keys %life, $many + 11, 'all of them');
    is(join(' ', map { $events{ 'x' x 400 . "-$_" } } 1 .. 10),
       join(' ', (scalar @ws) x 10), 'the client events that are allowed');
    $t->finish;
};


subtest 'the ring is written over while the herald stands' => sub {
    my ($r, $t) = ($overrun, $overrun_t);
    my ($herald) = $t->server->senders;
    my ($ws) = grep { $_->header('X-Worker') != $herald } $t->spread(2);
    my ($api) = grep { $_->get('channels')->{headers}{'x-worker'} != $herald }
                Chat::API->spread($t);

    # the herald's own clients would be sent away
    $_->disconnect for @overrun_ws;
    subscribe_to($ws, 'b-left');
    ok(wait_for(20, sub { books($r) eq truth($t) && truth($t) eq 'b-left' }),
       'one channel is there');

    stop_worker($herald);
    $ws->unsubscribe('b-left');
    subscribe_to($ws, 'b-new');
    overruns($api, 'stands');
    kill 'CONT', $herald;

    agrees([ 'b-new' ], 'stands', 2);
    $t->finish;
};

done_testing();
