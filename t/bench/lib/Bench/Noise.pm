package Bench::Noise;

# How quiet the machine was: the time of a fixed piece of work on each core,
# what others ran meanwhile, and what the hypervisor took.

use strict;
use warnings;

use Bench::Peer qw(binary slurp);
use POSIX ();
use Time::HiRes qw(time sleep);

# beyond these, nothing can be concluded
use constant {
    SPREAD  => 0.10,
    FOREIGN => 0.05,
    STEAL   => 0.02,
};

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());


sub new { bless { spins => {}, foreign => [], steal => [] }, $_[0] }


# Busy and stolen seconds of all cores since the machine's start.

sub stat_cpu {
    my (undef, @n) = split ' ', (split /\n/, slurp('/proc/stat'))[0];

    return (($n[0] + $n[1] + $n[2] + $n[5] + $n[6]) / $ticks, $n[7] / $ticks);
}


# Seconds of CPU of this process, and of those that it has waited for.

sub own_cpu {
    my ($user, $system, $cuser, $csystem) = times;

    return $user + $system + $cuser + $csystem;
}


sub round_begins {
    my ($self, @cpus) = @_;

    my @pipes;

    for my $cpu (@cpus) {
        open my $pipe, '-|', 'taskset', '-c', $cpu,
             binary('load', '-lcrypto'), 'mode=spin'
            or die "no load generator: $!\n";

        push @pipes, [ $cpu, $pipe ];
    }

    for my $item (@pipes) {
        my ($cpu, $pipe) = @$item;
        my $line = <$pipe>;
        close $pipe;

        push @{$self->{spins}{$cpu}}, $1 if $line =~ /^spin (\S+)/;
    }

    $self->{begin} = [ time(), own_cpu(), stat_cpu() ];
}


sub round_ends {
    my ($self, $cores) = @_;

    my ($time, $own, $busy, $steal) = @{$self->{begin}};
    my ($busy_now, $steal_now) = stat_cpu();
    my $all = (time() - $time) * $cores;

    push @{$self->{foreign}},
         ($busy_now - $busy - (own_cpu() - $own)) / $all;
    push @{$self->{steal}}, ($steal_now - $steal) / $all;
}


sub most {
    my ($most) = sort { $b <=> $a } @_;

    return defined $most && $most > 0 ? $most : 0;
}


# The verdict, in lines of text.

sub report {
    my ($self) = @_;

    my @spreads = map {
        my @t = sort { $a <=> $b } @$_;
        $t[-1] / $t[0] - 1
    } values %{$self->{spins}};

    my ($spread, $foreign, $steal) = (most(@spreads),
                                      most(@{$self->{foreign}}),
                                      most(@{$self->{steal}}));

    my $noisy = $spread > SPREAD || $foreign > FOREIGN || $steal > STEAL;

    my $text = sprintf("Noise: a fixed piece of work took up to %.0f %% "
                       . "longer than at its fastest; other processes had "
                       . "up to %.0f %% of the cores in a round, the "
                       . "hypervisor %.1f %%.\n",
                       $spread * 100, $foreign * 100, $steal * 100);

    $text .= "**The machine was too noisy to conclude anything from this "
             . "run.**\n" if $noisy;

    return $text;
}


1;
