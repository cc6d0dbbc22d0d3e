import type { components } from '@/api/generated';

type Schemas = components['schemas'];

export type Session = Schemas['SessionBody'];
export type SessionGroup = Schemas['SessionGroup'];
export type SessionAction = Schemas['SessionAction'];
export type Run = Schemas['RunBody'];
export type RunState = Schemas['RunState'];
export type RunAction = Schemas['RunAction'];
export type Input = Schemas['InputBody'];
export type Usage = Schemas['UsageBody'];
export type SessionPull = Schemas['SessionPullBody'];
export type TimelineItem = Schemas['TimelineBody'];
export type Artifact = Schemas['ArtifactBody'];
export type Decision = Schemas['DecisionBody'];
export type Changes = Schemas['ChangesBody'];
export type Profile = Schemas['ProfileBody'];
export type ProfileChange = Schemas['ProfileChange'];
export type InstallationSettings = Schemas['SettingsBody'];
export type SettingsSource = Schemas['SourceBody'];
export type SettingsChanged = Schemas['SettingsChangedBody'];
export type SettingsChange = Schemas['SettingsChangeBody'];
export type FieldChange = Schemas['FieldChangeBody'];
export type Token = Schemas['TokenBody'];
export type Credential = Schemas['CredentialBody'];
export type Binding = Schemas['BindingBody'];
export type SystemState = Schemas['SystemBody'];
export type SystemPart = Schemas['PartBody'];
