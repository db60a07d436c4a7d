package Chat::Receiver;

# The receiving end of webhooks: an HTTP server in a process of its own, which
# answers as the test says and writes down what it gets, one line of JSON for
# each request.
#
# How it answers is the text of a file that it reads for each request: a status,
# or "hang", "slow" (a byte a second), "reset", "half", "redirect PORT"; before
# that N times something else: "2*500 200".  Counted by requests.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time sleep);

use Chat::Server qw(slurp spew wait_for APP_KEY APP_SECRET);

my $json = JSON::PP->new->canonical->utf8;


# new(dir => FOLDER, name => NAME, tls => [ KEY, CERT ])

sub new {
    my ($class, %args) = @_;

    my $self = bless { name => 'hook', %args }, $class;

    $self->{log} = "$self->{dir}/$self->{name}.log";
    $self->{how} = "$self->{dir}/$self->{name}.how";
    $self->{socket} = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', Listen => 128, ReuseAddr => 1) or die $!;
    $self->{port} = $self->{socket}->sockport;
    $self->{owner} = $$;

    spew($self->{log}, '');
    $self->answer(200);
    $self->up;

    return $self;
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

    if (!$self->{socket}) {
        $self->{socket} = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $self->{port},
            Listen => 128, ReuseAddr => 1) or die $!;
    }

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
        $self->connection($c) if !$self->{tls} || $self->start_tls($c);
        POSIX::_exit(0);
    }
}


sub start_tls {
    my ($self, $c) = @_;

    require IO::Socket::SSL;

    return IO::Socket::SSL->start_SSL($c, SSL_server => 1,
        SSL_key_file => $self->{tls}[0], SSL_cert_file => $self->{tls}[1]);
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

        my $how = $self->next_answer($path);

        open my $log, '>>', $self->{log} or die $!;
        syswrite $log, $json->encode({ method => $method, path => $path,
            headers => \@headers, body => $body, time => time(),
            answer => $how, connection => $$ }) . "\n";
        close $log;

        $self->respond($c, $how) or return;
    }
}


# "2*500 200" becomes "1*500 200"; the last one stays.

sub next_answer {
    my ($self) = @_;

    my $text = slurp($self->{how});
    my ($n, $how, $rest) = $text =~ /^(\d+)\*(\w+) (.*)/s or return $text;

    $self->answer($n > 1 ? $n - 1 . "*$how $rest" : $rest);

    return $how;
}


# Returns 1 where the connection goes on.

sub respond {
    my ($self, $c, $how) = @_;

    if ($how eq 'hang') {
        sleep 3600;

    } elsif ($how eq 'reset') {
        setsockopt $c, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
        close $c;
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


# ---- in the test

# All requests so far.

sub requests {
    my ($self) = @_;

    return map { $json->decode($_) } grep { length }
           split /\n/, slurp($self->{log});
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
        next unless $req->{answer} =~ /^2\d\d$/;
        next if $seen{ header($req, 'X-Chat-Webhook-Id') }++;
        push @events, @{ $json->decode($req->{body})->{events} };
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


sub forget { spew($_[0]{log}, '') }


1;
