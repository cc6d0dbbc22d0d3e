import { Archive, CircleCheck, Inbox, Plus, Trash2, X } from 'lucide-react';
import { useState } from 'react';
import { GROUP_ORDER, GROUPS, PULLS, STATES } from '@/features/sessions/words';
import { Badge, type Tone } from '@/ui/badge';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Confirm, Dialog } from '@/ui/dialog';
import { Field, Switch } from '@/ui/field';
import { Kbd } from '@/ui/kbd';
import { Menu } from '@/ui/menu';
import { Spinner } from '@/ui/spinner';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { Elapsed, RelativeTime } from '@/ui/time';
import { done, failed } from '@/ui/toast';

const TONES: Tone[] = ['neutral', 'accent', 'attention', 'good', 'bad', 'info', 'merged'];
const COLOURS = [
  'canvas',
  'surface',
  'raised',
  'sunken',
  'line',
  'accent',
  'attention',
  'good',
  'bad',
  'info',
  'merged',
];

/** Every component in each of its states. */
export function Design() {
  const [text, setText] = useState('');
  const [choice, setChoice] = useState('a');
  const [on, setOn] = useState(true);
  const [open, setOpen] = useState<'dialog' | 'confirm'>();
  const [then] = useState(() => new Date(Date.now() - 754_000).toISOString());
  return (
    <div className="mx-auto flex max-w-4xl flex-col gap-6 px-4 py-6">
      <h1 className="text-xl font-semibold">Design</h1>
      <Card title="Colours">
        <ul className="grid grid-cols-3 gap-3 p-4 sm:grid-cols-6">
          {COLOURS.map((name) => (
            <li key={name} className="text-xs">
              <span
                className="mb-1 block h-10 rounded-md border border-line"
                style={{ background: `var(--${name})` }}
              />
              {name}
            </li>
          ))}
        </ul>
      </Card>
      <Card title="Type">
        <div className="flex flex-col gap-1 p-4">
          <p className="text-xl font-semibold">Heading of a screen</p>
          <p className="text-lg font-semibold">Heading of a part</p>
          <p>What is read</p>
          <p className="text-soft">What explains it</p>
          <p className="text-xs text-faint">What is beside it</p>
          <p className="font-mono text-xs">code, paths, digests</p>
        </div>
      </Card>
      <Card title="Buttons">
        <div className="flex flex-wrap items-center gap-2 p-4">
          <Button look="primary">Primary</Button>
          <Button>Secondary</Button>
          <Button look="quiet">Quiet</Button>
          <Button look="danger">Danger</Button>
          <Button icon={Plus}>With a sign</Button>
          <Button busy>Busy</Button>
          <Button isDisabled>Not now</Button>
          <Button small>Small</Button>
          <IconButton icon={X} label="Close" />
          <Menu
            label="More"
            actions={[
              { id: 'a', label: 'Archive', icon: Archive, run: () => done('Archived') },
              {
                id: 'd',
                label: 'Delete…',
                icon: Trash2,
                danger: true,
                run: () => setOpen('confirm'),
              },
            ]}
          />
          <Kbd keys="Ctrl K" />
        </div>
      </Card>
      <Card title="States">
        <div className="flex flex-wrap gap-2 p-4">
          {Object.values(STATES).map(({ label, tone, icon, live }) => (
            <Badge key={label} tone={tone} live={live ?? false} {...(icon ? { icon } : {})}>
              {label}
            </Badge>
          ))}
          {Object.values(PULLS).map(({ label, tone, icon }) => (
            <Badge key={label} tone={tone} {...(icon ? { icon } : {})}>
              #7 {label}
            </Badge>
          ))}
          {TONES.map((tone) => (
            <Badge key={tone} tone={tone}>
              {tone}
            </Badge>
          ))}
          {GROUP_ORDER.map((group) => (
            <Badge key={group} icon={CircleCheck}>
              {GROUPS[group].label}
            </Badge>
          ))}
        </div>
      </Card>
      <Card title="Fields">
        <div className="grid gap-4 p-4 sm:grid-cols-2">
          <Field
            label="Title"
            value={text}
            onChange={setText}
            placeholder="Nothing yet"
            hint="What it is for."
          />
          <Field label="Repository" value="acme" error="as owner/name" />
          <Field label="Not now" value="kept" isDisabled />
          <Field label="Prompt" rows={3} value={text} onChange={setText} />
          <Choice
            label="Profile"
            options={[
              { id: 'a', label: 'default', detail: 'An hour, two gibibytes.' },
              { id: 'b', label: 'long', detail: 'Eight hours.' },
            ]}
            value={choice}
            onChange={setChoice}
          />
          <Switch selected={on} onChange={setOn}>
            Open as a draft
          </Switch>
        </div>
      </Card>
      <Card title="Time">
        <p className="flex gap-4 p-4">
          <RelativeTime at={then} />
          <Elapsed from={then} />
          <Spinner label="Looking" />
        </p>
      </Card>
      <Card title="Dialogs and messages">
        <div className="flex flex-wrap gap-2 p-4">
          <Button onPress={() => setOpen('dialog')}>A dialog</Button>
          <Button onPress={() => setOpen('confirm')}>A question</Button>
          <Button onPress={() => done('It is done')}>A good message</Button>
          <Button onPress={() => failed(new Error('The branch is somebody else’s'))}>
            A bad message
          </Button>
        </div>
        <Dialog title="A dialog" isOpen={open === 'dialog'} onClose={() => setOpen(undefined)}>
          <p>With something in it.</p>
        </Dialog>
        <Confirm
          title="Delete it?"
          isOpen={open === 'confirm'}
          onClose={() => setOpen(undefined)}
          action="Delete it"
          danger
          onConfirm={async () => done('Deleted')}
        >
          It cannot be brought back.
        </Confirm>
      </Card>
      <Card title="Nothing there">
        <EmptyState
          icon={Inbox}
          title="No session"
          action={<Button look="primary">New run</Button>}
        >
          Start one: it takes a repository and a sentence.
        </EmptyState>
      </Card>
      <Card title="Loading">
        <Skeleton rows={2} />
      </Card>
      <Card title="Failing">
        <ErrorState
          error={new TypeError('fetch')}
          what="the list"
          retry={() => done('Tried again')}
        />
      </Card>
    </div>
  );
}
