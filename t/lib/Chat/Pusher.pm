package Chat::Pusher;

# What the tests of the protocol share: a server with a place to publish from,
# signatures, the commands of a client, and ways to see that nothing comes.
#
# Nothing is shown to stay away by waiting: fence() sends an event behind all
# that was sent, on every worker, and tells what came before it.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Encode ();
use Exporter 'import';
use JSON::PP ();
use Test::More;

use Chat::HTTP qw(from_json from_text);
use Chat::Server qw(APP_ID APP_KEY APP_SECRET spew wait_for);
use Chat::WebSocket qw(data_of);

our @EXPORT_OK = qw(sign channel_auth user_auth member send_subscribe
                    subscribe_to join_presence signin client_event is_event
                    is_refused is_error is_fatal events_of users_of);

my $json = JSON::PP->new->canonical->allow_nonref;    # of characters


# ---- signatures

sub sign {
    my ($secret, $text) = @_;

    return hmac_sha256_hex(Encode::encode('utf8', $text),
                           Encode::encode('utf8', $secret));
}


# The "auth" of a subscription: of a connection, or of a socket id.

sub channel_auth {
    my ($ws, $channel, $data, %o) = @_;

    my $text = (ref $ws ? $ws->socket_id : $ws) . ":$channel";
    $text .= ":$data" if defined $data;

    return (defined $o{key} ? $o{key} : APP_KEY) . ':'
           . sign(defined $o{secret} ? $o{secret} : APP_SECRET, $text);
}


sub user_auth {
    my ($ws, $data, %o) = @_;

    my $text = (ref $ws ? $ws->socket_id : $ws) . "::user::$data";

    return (defined $o{key} ? $o{key} : APP_KEY) . ':'
           . sign(defined $o{secret} ? $o{secret} : APP_SECRET, $text);
}


# ---- commands

# The text of channel_data: member(7), member('7', { name => 'Ann' }).

sub member {
    my ($id, $info) = @_;

    return $json->encode({ user_id => $id,
                           defined $info ? (user_info => $info) : () });
}


# send_subscribe($ws, $channel, data => CHANNEL_DATA, auth => INSTEAD, key =>,
# secret =>); an auth of undef is left out.

sub send_subscribe {
    my ($ws, $channel, %o) = @_;

    my $auth = exists $o{auth} ? $o{auth}
             : $channel =~ /^(?:private|presence)-/
                   ? channel_auth($ws, $channel, $o{data}, %o) : '';

    $ws->send_event({ event => 'pusher:subscribe', data => {
        channel => $channel,
        defined $auth ? (auth => $auth) : (),
        defined $o{data} ? (channel_data => $o{data}) : (),
    } });
}


# Subscribes, and returns the answer, which is the next event.

sub subscribe_to {
    my ($ws, $channel, %o) = @_;

    send_subscribe($ws, $channel, %o);

    my $e = $ws->next_event;

    die "subscribe to $channel: " . ($e->{raw} || join ' ', %$e)
        unless ($e->{event} || '') eq 'pusher_internal:subscription_succeeded'
               && $e->{channel} eq $channel;

    return $e;
}


# Joins a presence channel: returns { count, ids, hash }.

sub join_presence {
    my ($ws, $channel, $id, $info, %o) = @_;

    my $e = subscribe_to($ws, $channel, data => member($id, $info), %o);

    return data_of_text($e)->{presence};
}


sub data_of_text { return from_text($_[0]{data}) }


# The user ids of a member list, sorted, if count, ids and hash agree.

sub users_of {
    my ($p) = @_;

    my $ids = join ' ', sort @{$p->{ids}};

    return "count $p->{count}, but ids $ids" if $p->{count} != @{$p->{ids}};
    return "ids $ids, but hash " . join ' ', sort keys %{$p->{hash}}
        if $ids ne join ' ', sort keys %{$p->{hash}};

    return $ids;
}


# Signs in and returns the answer.

sub signin {
    my ($ws, $data, %o) = @_;

    $data = $json->encode($data) if ref $data;

    $ws->send_event({ event => 'pusher:signin', data => {
        user_data => $data,
        auth => exists $o{auth} ? $o{auth} : user_auth($ws, $data, %o) } });

    return $ws->next_event;
}


sub client_event {
    my ($ws, $channel, $event, $data, %more) = @_;

    $ws->send_event({ event => $event, channel => $channel, data => $data,
                      %more });
}


# ---- what comes

sub is_event {
    my ($e, $event, $channel, $data, $name) = @_;

    my $want = { event => $event, data => $data };
    $want->{channel} = $channel if defined $channel;

    my %got = %$e;
    delete $got{raw};

    is_deeply(\%got, $want, $name);
}


# A pusher:error that leaves the connection open.

sub is_error {
    my ($ws, $code, $like, $name) = @_;

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', "$name: an error frame")
        or diag($e->{raw} || join ' ', %$e);
    is(ref $e->{data}, 'HASH', "$name: its data is an object") or return;
    is($e->{data}{code}, $code, "$name: its code");
    ok(exists $e->{data}{code}, "$name: it has one");
    like($e->{data}{message}, $like, "$name: its message");
    ok(!exists $e->{channel} && !exists $e->{user_id},
       "$name: no channel, no user_id");

    return $e;
}


# A refused subscription: pusher:error with code null, then
# pusher:subscription_error with the channel and an object (2.5, P40).

sub is_refused {
    my ($ws, $channel, $like, $name) = @_;

    my $e = is_error($ws, undef, $like, $name);
    my $s = $ws->next_event;

    is($s->{event}, 'pusher:subscription_error',
       "$name: P40: pusher:subscription_error");
    is($s->{channel}, $channel, "$name: P40: it names the channel");
    is(ref $s->{data}, 'HASH', "$name: P40: its data is an object")
        or return;
    is($s->{data}{error}, $e->{data}{message}, "$name: P40: the same text");
    like($s->{data}{type}, qr/\A\w+\z/, "$name: P40: a type");
    like($s->{data}{status}, qr/\A4\d\d\z/, "$name: P40: a status");
    ok($ws->nothing_waits, "$name: nothing else, the connection lives");
}


# A fatal error: the frame, a close frame with its code, the end.

sub is_fatal {
    my ($ws, $code, $name) = @_;

    is($ws->{status}, 101, "$name: 101") or return;

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', "$name: an error frame")
        or diag($e->{raw} || join ' ', %$e);
    is(ref $e->{data}, 'HASH', "$name: its data is an object") or return;
    is($e->{data}{code}, $code, "$name: code $code");
    like($e->{data}{message}, qr/\S/, "$name: a message");
    is($ws->wait_close, $code, "$name: closed with $code");

    return $e;
}


# All events that wait, as far as the connection's own worker knows.

sub events_of {
    my ($ws) = @_;

    my $frames = $ws->drain or die "the connection has ended";

    return map { from_json($_->[1]) } grep { $_->[0] == 1 } @$frames;
}


# ---- the server

# new(Chat::Server's arguments; more => LOCATIONS, apps => MORE chat_app,
# files => { NAME => TEXT } beside nginx.conf)
#
# Messages can be published to any channel: publish().

sub new {
    my ($class, %args) = @_;

    my $id = APP_ID;
    my $locations = <<"END";
        location = /publish {
            chat_publish  \$http_x_channel \$http_x_event app=$id;
        }

        location = /other {
            chat_publish  \$http_x_channel \$http_x_event app=2;
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END

    my $apps = "chat_app 2 { key other-key; secret other-secret; }\n"
               . (delete $args{apps} || '');
    my $more = delete $args{more};
    $locations .= $more if defined $more;

    my $server = Chat::Server->new(
        listen => ($args{workers} || 2) > 1 ? 'reuseport' : '',
        server => 'add_header X-Worker $pid always;',
        locations => $locations, %args,
        http => $apps . ($args{http} || ''),
    );

    my $files = $args{files} || {};
    spew($server->dir . "/conf/$_", $files->{$_}) for keys %$files;

    $server->start;

    return bless { server => $server, fences => 0,
                   http => Chat::HTTP->new(port => $server->port) }, $class;
}


sub server { $_[0]{server} }
sub http   { $_[0]{http} }
sub port   { $_[0]{server}->port }
sub finish { $_[0]{server}->finish }
sub sqlite { $_[0]{server}->sqlite($_[1]) }


# Kills a worker, and leaves it for a new HTTP connection: the kept one may have
# been with it.

sub kill_worker {
    my ($self, $pid) = @_;

    my $server = $self->{server};

    $server->expect_killed($pid, 9);

    kill 'KILL', $pid;
    wait_for(10, sub { !Chat::Server::is_alive($pid) })
        or die "worker $pid is alive after kill -9";

    $self->{http} = Chat::HTTP->new(port => $self->port);
}


sub ws {
    my ($self, %args) = @_;

    return Chat::WebSocket->established(port => $self->port, %args);
}


# A connection of the app with this key.

sub ws_of {
    my ($self, $key, %args) = @_;

    return $self->ws(path => "/app/$key?protocol=7", %args);
}


# Connections on as many workers as there are: the first $n of them are on
# different ones.

sub spread {
    my ($self, $n, %args) = @_;

    my $workers = $self->{server}{workers};
    my (@queues, %index, @spare);

    for (1 .. 1000) {
        my $ws = $self->ws(%args);
        my $worker = $ws->header('X-Worker');

        $index{$worker} = keys %index unless exists $index{$worker};
        my $queue = $queues[ $index{$worker} ] ||= [];

        if (@$queue * $workers < $n) {
            push @$queue, $ws;
        } else {
            push @spare, $ws;
        }

        my $have = 0;
        $have += @$_ for @queues;
        last if $have >= $n && @queues >= ($n < $workers ? $n : $workers);
    }

    my @all;

    while (grep { @$_ } @queues) {
        push @all, map { @$_ ? shift @$_ : () } @queues;
    }

    return @all[0 .. $n - 1];
}


# Publishes a message: its text, which is the event's data.

sub publish {
    my ($self, $channel, $content, %o) = @_;

    my $res = $self->{http}->post($o{path} || '/publish', {
        content => $content,
        defined $o{socket_id} ? (socket_id => $o{socket_id}) : (),
    }, { 'X-Channel' => $channel, 'X-Event' => $o{event} || 'news' });

    is($res->{status}, 201, "published to $channel")
        or diag($res->{body});

    return $res->{text};
}


# What has come to each of the connections, before an event that is sent now:
# one list for each.  Each connection has a channel of its own for that.

sub fence {
    my ($self, @ws) = @_;

    return map { [ $self->fence_one($_) ] } @ws;
}


sub fence_one {
    my ($self, $ws) = @_;

    my $channel = 'fence-' . $ws->socket_id;
    my $name = 'fence' . ++$self->{fences};
    my @list;

    $ws->send_event({ event => 'pusher:subscribe',
                      data => { channel => $channel } })
        unless $ws->{fenced};

    while (!$ws->{fenced}) {
        my $e = $ws->next_event;

        die 'fence: ' . join ' ', %$e unless defined $e->{event};

        if (($e->{channel} || '') eq $channel) {
            $ws->{fenced} = 1;
        } else {
            push @list, $e;
        }
    }

    my $res = $self->{http}->post('/publish', { content => $name },
                                  { 'X-Channel' => $channel,
                                    'X-Event' => $name });
    die "fence: $res->{status}" unless $res->{status} == 201;

    while (1) {
        my $e = $ws->next_event;

        die 'fence: ' . join ' ', %$e unless defined $e->{event};
        return @list if $e->{event} eq $name;
        push @list, $e unless ($e->{channel} || '') eq $channel;
    }
}


# Nothing has been sent to any of the connections, but for the question whether
# one with a token has heard of the channel that this makes.

sub nothing {
    my ($self, $name, @ws) = @_;

    is(join(' ', map { $_->{raw} } grep { $_->{event} ne 'pusher:ping' }
                 map { @$_ } $self->fence(@ws)), '', $name);
}


sub status {
    my ($self) = @_;

    return from_json($self->{http}->get('/chat_status')->{body});
}


# The console's list of webhooks.

sub webhooks {
    my ($self) = @_;

    return @{ from_json($self->{http}->get('/console/webhooks',
                  { 'X-Chat-Console' => 1 })->{body})->{webhooks} };
}


# Ends connections, and waits until the server has done so, too.

sub close_all {
    my ($self, @ws) = @_;

    my $left = $self->status->{connections} - @ws;

    $_->disconnect for @ws;

    ok(wait_for(10, sub { $self->status->{connections} <= $left }),
       'the server has seen the end of ' . @ws);
}


1;
