package Chat::Receiver;

# The receiving end of webhooks: an HTTP server in a process of its own, which
# answers as the test says and writes down what it gets, one line of JSON for
# each request.
#
# How it answers is the text of a file that it reads for each request: a status,
# or "hang", "slow" (a byte a second), "reset", "half", "redirect PORT", or a
# name of %odd; before that N times something else: "2*500 200".  Counted by
# requests.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use File::Basename ();
use File::Path ();
use IO::Handle;
use IO::Select;
use IO::Socket::IP;
use JSON::PP ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More ();
use Time::HiRes qw(time sleep);

use Chat::Server qw(build_dir slurp spew wait_for APP_KEY APP_SECRET);

my $owner = $$;
my $dir = build_dir() . '/t/' . File::Basename::basename($0, '.t')
          . "-$$-receivers";
my $json = JSON::PP->new->canonical->utf8;

my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
my $kilobyte = 'x' x 1024;

# Odd answers, each a list: what it begins with, then code that may go on for
# as long as the client takes it.  After "ok-..." the request counts as taken.
my %odd = (
    # several heads before the answer's own
    'ok-continue' => [ "HTTP/1.1 100 Continue\r\n\r\n" x 3
                       . "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                       . $ok ],
    'ok-old'      => [ "HTTP/1.0 200 OK\r\n\r\n" ],
    'ok-bare'     => [ "HTTP/1.1 200\nX: y\n\nto the end" ],
    'ok-trailer'  => [ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       . "2;x=y\r\nok\r\n0\r\nX-Digest: z\r\n\r\n" ],
    # the connection ends, and nobody has said so
    'ok-close'    => [ $ok ],
    'ok-three'    => [ '', sub { sleep 3; print { $_[0] } $ok } ],
    'ok-giant'    => [ "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
                       sub { send_much($_[0], $kilobyte x 1024, 1024) } ],
    'cut'         => [ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot a",
                       sub { sleep 0.1; reset_it($_[0]) } ],
    'torn'        => [ "HTTP/1.1 200 OK\r\nContent-Le" ],
    'early'       => [ "HTTP/1.1 100 Continue\r\n\r\n" ],
    'switch'      => [ "HTTP/1.1 101 Other Protocol\r\nUpgrade: x\r\n\r\n" ],
    'nothing'     => [ '' ],
    'no-head'     => [ "200 OK\n\nas by HTTP/0.9\n" ],
    'garbage'     => [ join '', map { chr } 0 .. 255 ],
    'chunks'      => [ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                       sub { send_much($_[0], "1\r\nx\r\n", 1 << 30, 0.01) } ],
    'bad-chunk'   => [ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       . "ffffffffffffffffff\r\nok\r\n0\r\n\r\n" ],
    'heads'       => [ "HTTP/1.1 200 OK\r\n",
                       sub { send_much($_[0], "X: $kilobyte\r\n", 1 << 30) } ],
    'line'        => [ "HTTP/1.1 200 OK\r\nX: ",
                       sub { send_much($_[0], $kilobyte, 1 << 30) } ],
);


# new(dir => FOLDER, name => NAME, host => '::1', tls => [ KEY, CERT ],
#     tunnel => [ KEY, CERT ]: a proxy that is itself what CONNECT leads to)
#
# Without a folder it has one of the test, which is left where the test fails.

sub new {
    my ($class, %args) = @_;

    my $self = bless { name => 'hook', dir => $dir, %args }, $class;

    File::Path::make_path($self->{dir});
    $self->{log} = "$self->{dir}/$self->{name}.log";
    $self->{how} = "$self->{dir}/$self->{name}.how";
    $self->{host} = '127.0.0.1' unless defined $self->{host};
    $self->{socket} = $self->listen_at(0);
    $self->{port} = $self->{socket}->sockport;
    $self->{owner} = $$;

    $self->forget;
    $self->answer(200);
    $self->up;

    return $self;
}


sub listen_at {
    my ($self, $port) = @_;

    return IO::Socket::IP->new(LocalHost => $self->{host}, LocalPort => $port,
                               Listen => 128, ReuseAddr => 1)
           || die "listen: $@";
}


sub port { $_[0]{port} }

sub url {
    my ($self, $path) = @_;

    return ($self->{tls} ? 'https' : 'http') . "://localhost:$self->{port}"
           . (defined $path ? $path : '/hook');
}


# From now on, the requests already begun apart.

sub answer {
    my ($self, $how) = @_;

    spew("$self->{how}.new", $how);
    rename "$self->{how}.new", $self->{how} or die $!;
}


sub up {
    my ($self) = @_;

    $self->{socket} ||= $self->listen_at($self->{port});

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        eval { $self->serve };
        print STDERR $@ if $@;
        POSIX::_exit(0);
    }

    $self->{pid} = $pid;
}


# Nobody listens any more.

sub down {
    my ($self) = @_;

    return unless $self->{pid};

    # those of its connections, too
    kill 'KILL', -$self->{pid}, $self->{pid};
    waitpid $self->{pid}, 0;
    delete @$self{qw(pid socket)};
}


sub DESTROY {
    my ($self) = @_;

    local $?;
    $self->down if $self->{owner} == $$;
}


# ---- in the other process: a process for each connection

sub serve {
    my ($self) = @_;

    $SIG{CHLD} = 'IGNORE';
    my $parent = getppid();

    my $wait = IO::Select->new($self->{socket});

    while (getppid() == $parent) {
        next unless $wait->can_read(0.5);
        my $c = $self->{socket}->accept or next;

        my $pid = fork();
        next if $pid;

        $SIG{CHLD} = 'DEFAULT';
        $self->connection($c) if !$self->{tls}
                                 || start_tls($c, @{ $self->{tls} });
        POSIX::_exit(0);
    }
}


sub start_tls {
    my ($c, $key, $cert) = @_;

    require IO::Socket::SSL;

    return IO::Socket::SSL->start_SSL($c, SSL_server => 1,
        SSL_key_file => $key, SSL_cert_file => $cert);
}


sub connection {
    my ($self, $c) = @_;

    $c->autoflush(1);

    while (defined(my $line = <$c>)) {
        my ($method, $path) = $line =~ /^(\S+) (\S+) HTTP/ or return;
        my @headers;

        while (defined($line = <$c>) && $line ne "\r\n") {
            $line =~ s/\r\n\z//;
            push @headers, [ split /: ?/, $line, 2 ];
        }

        my %h = map { lc $_->[0] => $_->[1] } @headers;
        my $body = '';
        read $c, $body, $h{'content-length'} || 0;

        my $how = $method eq 'CONNECT' ? 'tunnel' : $self->next_answer($path);

        open my $log, '>>', $self->{log} or die $!;
        syswrite $log, $json->encode({ method => $method, path => $path,
            headers => \@headers, body => $body, time => time(),
            answer => $how, connection => $$ }) . "\n";
        close $log;

        if ($how eq 'tunnel') {
            print $c "HTTP/1.1 200 Connection established\r\n\r\n";
            start_tls($c, @{ $self->{tunnel} }) or return;
            next;
        }

        $self->respond($c, $how) or return;
    }
}


# "2*500 200" becomes "1*500 200"; the last one stays.

sub next_answer {
    my ($self) = @_;

    my $text = slurp($self->{how});
    my ($n, $how, $rest) = $text =~ /^(\d+)\*([\w-]+) (.*)/s or return $text;

    $self->answer($n > 1 ? $n - 1 . "*$how $rest" : $rest);

    return $how;
}


# Returns 1 where the connection goes on.

sub respond {
    my ($self, $c, $how) = @_;

    if ($odd{$how}) {
        my ($text, $more) = @{ $odd{$how} };

        print $c $text;
        $more->($c) if $more;
        return 0;

    } elsif ($how eq 'hang') {
        sleep 3600;

    } elsif ($how eq 'reset') {
        reset_it($c);
        return 0;

    } elsif ($how eq 'half') {
        print $c "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        return 0;

    } elsif ($how eq 'slow') {
        print $c $_ and sleep 1
            for split //, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    } elsif ($how =~ /^redirect (\d+)/) {
        print $c "HTTP/1.1 307 Temporary Redirect\r\nLocation: "
                 . "http://127.0.0.1:$1/elsewhere\r\n"
                 . "Content-Length: 0\r\n\r\n";
        return 1;
    }

    print $c "HTTP/1.1 $how Status\r\nContent-Length: 2\r\n\r\nok";

    return 1;
}


sub reset_it {
    my ($c) = @_;

    setsockopt $c, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    close $c;
}


# Many times the same bytes, until the client has gone.

sub send_much {
    my ($c, $bytes, $n, $pause) = @_;

    while ($n-- && print $c $bytes) {
        sleep $pause if $pause;
    }
}


# ---- in the test

# All requests so far, with what their bodies say.  Each is read once: tests
# ask again and again.

sub requests {
    my ($self) = @_;

    open my $log, '<:raw', $self->{log} or die $!;
    seek $log, $self->{read}, 0 or die $!;

    while (defined(my $line = <$log>)) {
        last if $line !~ /\n\z/;

        my $req = $json->decode($line);

        $req->{json} = eval { $json->decode($req->{body}) };
        $self->{read} += length $line;
        push @{ $self->{requests} }, $req;
    }

    return @{ $self->{requests} };
}


sub header {
    my ($req, $name) = @_;

    my @values = map { $_->[1] } grep { $_->[0] eq $name }
                 @{ $req->{headers} };

    return join ', ', @values;
}


sub is_signed {
    my ($req, $key, $secret) = @_;

    return header($req, 'X-Pusher-Key') eq (defined $key ? $key : APP_KEY)
           && header($req, 'X-Pusher-Signature')
              eq hmac_sha256_hex($req->{body},
                                 defined $secret ? $secret : APP_SECRET);
}


# The events of all requests that were answered by 2xx, as a receiver takes
# them: what comes again under the same id is dropped.

sub events {
    my ($self) = @_;

    my (%seen, @events);

    for my $req ($self->requests) {
        next unless $req->{answer} =~ /^(?:2\d\d$|ok-)/;
        next if $seen{ header($req, 'X-Chat-Webhook-Id') }++;
        push @events, map { {%$_} } @{ $req->{json}{events} };
    }

    return @events;
}


# Short texts of them: "channel_occupied room", "member_added room ann".

sub texts {
    my ($self, $re) = @_;

    my @texts = map {
        my $e = $_;
        join ' ', grep { defined && length }
                  @$e{qw(name channel user_id event subscription_count)};
    } $self->events;

    return defined $re ? grep { $_ =~ $re } @texts : @texts;
}


# Waits until the events are there, and returns all texts.

sub wait_texts {
    my ($self, $n, $re, $seconds) = @_;

    wait_for($seconds || 20, sub { my @t = $self->texts($re); @t >= $n });

    return $self->texts($re);
}


sub forget {
    my ($self) = @_;

    spew($self->{log}, '');
    @$self{qw(read requests)} = (0, []);
}


# What is wrong with all requests so far: nothing, for ''.  Each is signed, and
# its body is JSON that a strict reader takes; what bears one id is one body,
# but for its time; and no event comes under two ids, of those that match.

sub faults {
    my ($self, $re) = @_;

    my (%body, %times, @faults);

    for my $req ($self->requests) {
        my $id = header($req, 'X-Chat-Webhook-Id');
        my ($events) = $req->{body} =~ /\A\{"time_ms":\d{13}(,.*)\z/s;

        push @faults, "not signed: $req->{body}" unless is_signed($req);
        push @faults, "not JSON: $req->{body}" unless $events && $req->{json};
        push @faults, "of another kind: $req->{body}"
            if grep { ref || !defined } map { values %$_ }
               @{ $req->{json}{events} };

        $body{$id} = $events unless defined $body{$id};
        push @faults, "two bodies have the id $id" if $body{$id} ne $events;
    }

    $times{$_}++ for $self->texts($re);
    push @faults, map { "$times{$_} times $_" } grep { $times{$_} > 1 }
                  sort keys %times;

    return join "\n", @faults;
}


END {
    File::Path::remove_tree($dir)
        if $owner == $$ && Test::More->builder->is_passing;
}


1;
